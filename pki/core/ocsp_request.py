"""Reading OCSP requests (RFC 6960 4.1, RFC 9654) from hostile input: several CertIDs, a bounded nonce, strict DER."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cryptography import x509

from pki.core import der
from pki.core.der import Element, MalformedDerError
from pki.core.keys import subject_public_key

MAX_REQUEST_OCTETS = 10_240
MAX_CERT_IDS = 32
MAX_NONCE_OCTETS = 128
MAX_PREFERRED = 32

HASHES = {
    der.oid("1.3.14.3.2.26"): "sha1",
    der.oid("2.16.840.1.101.3.4.2.1"): "sha256",
    der.oid("2.16.840.1.101.3.4.2.2"): "sha384",
    der.oid("2.16.840.1.101.3.4.2.3"): "sha512",
}
_NONCE = der.oid("1.3.6.1.5.5.7.48.1.2")
_PREFERRED_SIGNATURES = der.oid("1.3.6.1.5.5.7.48.1.8")
_PLAIN_SERIAL_OCTETS = 20
_AROUND_NONCE_OCTETS = 60  # more than an extension and longer lengths take


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
    """The questions of one request; `nonce` is the content of its OCTET STRING.

    `preferred`: the OIDs, in DER, of the signatures that the client would rather have, the best first (4.4.7).
    """

    cert_ids: tuple[CertId, ...]
    nonce: bytes | None = None
    preferred: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class PlainQuestion:
    """The commonest request: one serial number of 20 octets, by SHA-1, without an extension (RFC 5019 2.1.1).

    It is `head` and the serial number; what it asks about is `cert_id_head` and the serial number.
    """

    head: bytes
    cert_id_head: bytes
    _around_nonce: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)  # by size; empty if no such has it

    @classmethod
    def of(cls, hashes: Mapping[str, tuple[bytes, bytes]]) -> PlainQuestion:
        """The question to the issuer with these `issuer_hashes`."""
        name_hash, key_hash = hashes["sha1"]
        algorithm = der.sequence(der.oid("1.3.14.3.2.26"), der.tlv(der.NULL))
        serial = der.tlv(der.INTEGER, bytes(_PLAIN_SERIAL_OCTETS))
        cert_id = der.sequence(algorithm, der.octet_string(name_hash), der.octet_string(key_hash), serial)
        request = der.sequence(der.sequence(der.sequence(der.sequence(cert_id))))
        return cls(request[:-_PLAIN_SERIAL_OCTETS], cert_id[:-_PLAIN_SERIAL_OCTETS])

    def serial_in(self, octets: bytes) -> bytes:
        """The 20 octets of the serial number if `octets` is this question, else nothing."""
        serial = octets[len(self.head) :]
        is_plain = len(serial) == _PLAIN_SERIAL_OCTETS and 0 < serial[0] < 0x80 and octets.startswith(self.head)
        return serial if is_plain else b""

    def with_nonce(self, octets: bytes) -> tuple[bytes, bytes]:
        """Serial number and nonce if `octets` is this question with a nonce; else nothing, twice."""
        more = len(octets) - len(self.head) - _PLAIN_SERIAL_OCTETS
        if not 0 < more < MAX_NONCE_OCTETS + _AROUND_NONCE_OCTETS:
            return b"", b""
        around = self._around_nonce.get(more)
        if around is None:
            around = self._around_nonce[more] = self._find_around(len(octets))
        head, middle = around
        start = len(head)
        end = start + _PLAIN_SERIAL_OCTETS
        is_it = middle and 0 < octets[start] < 0x80 and octets.startswith(head) and octets.startswith(middle, end)
        return (octets[start:end], octets[end + len(middle) :]) if is_it else (b"", b"")

    def _find_around(self, size: int) -> tuple[bytes, bytes]:
        """What stands before the serial number and before the nonce in such a request of that size."""
        tbs = der.read_only(der.read_only(self.head + bytes(_PLAIN_SERIAL_OCTETS)).body).body
        for octets in range(1, MAX_NONCE_OCTETS + 1):
            extension = der.extension("1.3.6.1.5.5.7.48.1.2", der.octet_string(bytes(octets)))
            whole = der.sequence(der.sequence(tbs, der.explicit(2, der.sequence(extension))))
            if len(whole) == size:
                front = whole.index(self.cert_id_head) + len(self.cert_id_head)
                return whole[:front], whole[front + _PLAIN_SERIAL_OCTETS : size - octets]
        return b"", b""


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
    known = _parse_extensions(fields.pop(0).expect(0xA2)) if fields else {}
    if fields:
        raise MalformedDerError("something follows the extensions")
    return OcspRequest(
        tuple(_parse_single(request) for request in requests),
        _parse_nonce(known[_NONCE]) if _NONCE in known else None,
        tuple(_parse_preferred(known[_PREFERRED_SIGNATURES])) if _PREFERRED_SIGNATURES in known else (),
    )


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


def _parse_extensions(tagged: Element) -> dict[bytes, bytes]:
    """The values of those extensions that we know. An unknown critical one makes the request malformed."""
    known: dict[bytes, bytes] = {}
    for extension in der.read_only(tagged.body).expect(der.SEQUENCE).children():
        fields = [*extension.expect(der.SEQUENCE).children()]
        if not 2 <= len(fields) <= 3:
            raise MalformedDerError("not an Extension")
        name, value = fields[0].expect(der.OID).encoded, fields[-1].expect(der.OCTET_STRING).body
        if name in {_NONCE, _PREFERRED_SIGNATURES}:
            if name in known:
                raise MalformedDerError("an extension that is there twice")
            known[name] = value
        elif len(fields) == 3 and fields[1].expect(der.BOOLEAN).body != b"\x00":
            raise MalformedDerError("an unknown critical extension")
    return known


def _parse_nonce(value: bytes) -> bytes:
    nonce = der.read_only(value).expect(der.OCTET_STRING).body
    if not 1 <= len(nonce) <= MAX_NONCE_OCTETS:
        raise MalformedDerError(f"a nonce that has not 1 to {MAX_NONCE_OCTETS} octets (RFC 9654 2.1)")
    return nonce


def _parse_preferred(value: bytes) -> Iterator[bytes]:
    wishes = [*der.read_only(value).expect(der.SEQUENCE).children()]
    if len(wishes) > MAX_PREFERRED:
        raise MalformedDerError(f"more than {MAX_PREFERRED} signature algorithms")
    for wish in wishes:
        algorithm = next(wish.expect(der.SEQUENCE).children(), None)
        oid = next(algorithm.expect(der.SEQUENCE).children(), None) if algorithm else None
        if oid is None:
            raise MalformedDerError("not a PreferredSignatureAlgorithm")
        yield oid.expect(der.OID).encoded
