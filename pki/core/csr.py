"""Certificate requests (PKCS#10, RFC 2986): only the public key and the name asked for are taken from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kernel.core.errors import Invalid
from pki.core import der
from pki.core.roca import is_roca_modulus

MAX_CSR_OCTETS = 16_384
RSA_BITS = range(2048, 8193)
_COMMON_NAME = der.oid("2.5.4.3")
_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}  # X.680 8.4, by tag
IssuablePublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class MalformedCsr(Invalid):
    """The text is no PKCS#10 request."""

    code = "csr-malformed"


class BadCsrSignature(Invalid):
    """Whoever sent the request does not hold its key, or the request was changed."""

    code = "csr-signature"


class WeakKey(Invalid):
    """The public key can not be trusted for the life of a certificate."""

    code = "weak-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrFacts:
    """What a request says and proves. `common_name` is what it asks for, or None; hex of SHA-256 over the SPKI."""

    public_key: IssuablePublicKey
    public_key_sha256: str
    common_name: str | None


def inspect_csr(csr: bytes) -> CsrFacts:
    """The facts of a request in PEM or DER whose signature and key were checked.

    Raises MalformedCsr, BadCsrSignature, WeakKey.
    """
    request = _parse(csr)
    public_key = _public_key(request)
    common_name = _common_name(request)
    try:
        genuine = request.is_signature_valid
    except UnsupportedAlgorithm as error:
        raise BadCsrSignature(f"The request is signed in a way that is not supported: {ADVICE}") from error
    except ValueError as error:
        raise MalformedCsr("The request has a signature that can not be read.") from error
    if not genuine:
        raise BadCsrSignature("The request is not signed by its own key: make a new one with `openssl req -new`.")
    return facts_of(public_key, common_name=common_name)


def facts_of(public_key: PublicKeyTypes, *, common_name: str | None = None) -> CsrFacts:
    """The same of a key of our own that needs no request. Raises WeakKey."""
    return CsrFacts(
        public_key=check_key(public_key), public_key_sha256=spki_sha256(public_key), common_name=common_name
    )


def spki_sha256(public_key: PublicKeyTypes) -> str:
    """Hex of SHA-256 over the SubjectPublicKeyInfo."""
    return hashlib.sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


ADVICE = "use ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits."


def check_key(public_key: PublicKeyTypes) -> IssuablePublicKey:
    """The key, if it is of a kind and size that certificates are issued for. Raises WeakKey."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if not isinstance(public_key.curve, CURVES):
            raise WeakKey(f"The curve {public_key.curve.name} is not accepted: {ADVICE}")
    elif isinstance(public_key, rsa.RSAPublicKey):
        _check_rsa(public_key)
    elif not isinstance(public_key, ed25519.Ed25519PublicKey):
        raise WeakKey(f"A key of this kind is not accepted: {ADVICE}")
    return public_key


def _check_rsa(public_key: rsa.RSAPublicKey) -> None:
    if public_key.key_size not in RSA_BITS:
        raise WeakKey(f"An RSA key of {public_key.key_size} bits is not accepted: {ADVICE}")
    numbers = public_key.public_numbers()
    if numbers.e < 65_537 or numbers.e % 2 == 0:
        raise WeakKey(f"The RSA exponent {numbers.e} is not accepted: make a key with exponent 65537.")
    if is_roca_modulus(numbers.n):
        raise WeakKey("The RSA key has the ROCA weakness (CVE-2017-15361): make a new key outside of that chip.")


def _parse(csr: bytes) -> x509.CertificateSigningRequest:
    if len(csr) > MAX_CSR_OCTETS:
        raise MalformedCsr(f"The request is larger than {MAX_CSR_OCTETS} octets: send one PKCS#10 request alone.")
    try:
        if b"-----BEGIN" in csr:
            return x509.load_pem_x509_csr(csr)
        return x509.load_der_x509_csr(csr)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise MalformedCsr("This is no PKCS#10 request in PEM or DER: make one with `openssl req -new`.") from error


def _public_key(request: x509.CertificateSigningRequest) -> IssuablePublicKey:
    try:
        return check_key(request.public_key())
    except UnsupportedAlgorithm as error:
        raise WeakKey(f"The request's key is of a kind that is not supported: {ADVICE}") from error
    except ValueError as error:
        raise MalformedCsr("The request's key can not be read: make a new one with `openssl req -new`.") from error


def _common_name(request: x509.CertificateSigningRequest) -> str | None:
    """The one common name, read here since the library warns of, and trips over, attributes that nobody asks for."""
    try:
        _, subject, *_ = der.read_only(request.tbs_certrequest_bytes).children()
        attributes = [attribute.children() for names in subject.children() for attribute in names.children()]
        found = [text for kind, text in attributes if kind.encoded == _COMMON_NAME]
        return found[0].body.decode(_TEXTS[found[0].tag]) if len(found) == 1 else None
    except (ValueError, KeyError) as error:
        raise MalformedCsr("The request has a subject that can not be read.") from error
