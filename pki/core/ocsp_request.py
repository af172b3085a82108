"""Reading OCSP requests (RFC 6960 4.1, RFC 9654) from hostile input: several CertIDs, a bounded nonce, strict DER."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509

from pki.core import der
from pki.core.der import Element, MalformedDerError
from pki.core.keys import subject_public_key

MAX_REQUEST_OCTETS = 10_240
MAX_CERT_IDS = 32
MAX_NONCE_OCTETS = 128

HASHES = {
    der.oid("1.3.14.3.2.26"): "sha1",
    der.oid("2.16.840.1.101.3.4.2.1"): "sha256",
    der.oid("2.16.840.1.101.3.4.2.2"): "sha384",
    der.oid("2.16.840.1.101.3.4.2.3"): "sha512",
}
_NONCE = der.oid("1.3.6.1.5.5.7.48.1.2")


class MalformedRequestError(ValueError):
    """The answer to it is malformedRequest."""


@dataclass(frozen=True, slots=True)
class CertId:
    """Whose status is asked: `encoded` goes back into the answer as it came."""

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    encoded: bytes


@dataclass(frozen=True, slots=True)
class OcspRequest:
    """The questions of one request; `nonce` is the content of its OCTET STRING."""

    cert_ids: tuple[CertId, ...]
    nonce: bytes | None


def issuer_hashes(certificate: x509.Certificate) -> dict[str, tuple[bytes, bytes]]:
    """By name of hash what a CertID has of the issuer: the hash of its name, and that of its key (4.1.1)."""
    name, key = certificate.subject.public_bytes(), subject_public_key(certificate.public_key())
    return {each: (hashlib.new(each, name).digest(), hashlib.new(each, key).digest()) for each in HASHES.values()}


def build_request(*, issuer: x509.Certificate, serial: int) -> bytes:
    """An OCSPRequest in DER about one certificate, by SHA-256 and without a nonce."""
    name_hash, key_hash = issuer_hashes(issuer)["sha256"]
    algorithm = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
    cert_id = der.sequence(algorithm, der.octet_string(name_hash), der.octet_string(key_hash), der.integer(serial))
    return der.sequence(der.sequence(der.sequence(der.sequence(cert_id))))


def parse_request(octets: bytes) -> OcspRequest:
    """The request. A signature on it is not asked for and not looked at. Raises MalformedRequestError."""
    if len(octets) > MAX_REQUEST_OCTETS:
        raise MalformedRequestError(f"larger than {MAX_REQUEST_OCTETS} octets")
    try:
        outer = [*der.read_only(octets).expect(der.SEQUENCE).children()]
        if not 1 <= len(outer) <= 2:
            raise MalformedDerError("not an OCSPRequest")
        if len(outer) == 2:
            outer[1].expect(0xA0)
        return _parse_tbs(outer[0].expect(der.SEQUENCE))
    except MalformedDerError as error:
        raise MalformedRequestError(str(error)) from error


def _parse_tbs(tbs: Element) -> OcspRequest:
    fields = [*tbs.children()]
    version = der.read_only(fields.pop(0).body).as_integer() if fields and fields[0].tag == 0xA0 else 0
    if version != 0:
        raise MalformedDerError("an unknown version")
    if fields and fields[0].tag == 0xA1:
        fields.pop(0)
    if not fields:
        raise MalformedDerError("no requestList")
    requests = [*fields.pop(0).expect(der.SEQUENCE).children()]
    if not 1 <= len(requests) <= MAX_CERT_IDS:
        raise MalformedDerError(f"not 1 to {MAX_CERT_IDS} requests")
    nonce = _parse_extensions(fields.pop(0).expect(0xA2)) if fields else None
    if fields:
        raise MalformedDerError("something follows the extensions")
    return OcspRequest(tuple(_parse_single(request) for request in requests), nonce)


def _parse_single(request: Element) -> CertId:
    parts = [*request.expect(der.SEQUENCE).children()]
    if not 1 <= len(parts) <= 2:
        raise MalformedDerError("not a Request")
    if len(parts) == 2:
        _parse_extensions(parts[1].expect(0xA0))
    cert_id = parts[0]
    fields = [*cert_id.expect(der.SEQUENCE).children()]
    if len(fields) != 4:
        raise MalformedDerError("not a CertID")
    algorithm = [*fields[0].expect(der.SEQUENCE).children()]
    if not 1 <= len(algorithm) <= 2:
        raise MalformedDerError("not an AlgorithmIdentifier")
    return CertId(
        HASHES.get(algorithm[0].expect(der.OID).encoded, ""),
        fields[1].expect(der.OCTET_STRING).body,
        fields[2].expect(der.OCTET_STRING).body,
        fields[3].as_integer(),
        cert_id.encoded,
    )


def _parse_extensions(tagged: Element) -> bytes | None:
    """The nonce, if there is one. An unknown critical extension makes the request malformed."""
    nonce: bytes | None = None
    for extension in der.read_only(tagged.body).expect(der.SEQUENCE).children():
        fields = [*extension.expect(der.SEQUENCE).children()]
        if not 2 <= len(fields) <= 3:
            raise MalformedDerError("not an Extension")
        value = fields[-1].expect(der.OCTET_STRING).body
        if fields[0].expect(der.OID).encoded == _NONCE:
            if nonce is not None:
                raise MalformedDerError("two nonces")
            nonce = _parse_nonce(value)
        elif len(fields) == 3 and fields[1].expect(der.BOOLEAN).body != b"\x00":
            raise MalformedDerError("an unknown critical extension")
    return nonce


def _parse_nonce(value: bytes) -> bytes:
    nonce = der.read_only(value).expect(der.OCTET_STRING).body
    if not 1 <= len(nonce) <= MAX_NONCE_OCTETS:
        raise MalformedDerError(f"a nonce that has not 1 to {MAX_NONCE_OCTETS} octets (RFC 9654 2.1)")
    return nonce
