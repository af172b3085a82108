"""Certificate requests (PKCS#10, RFC 2986): only the public key and the names asked for are taken from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kernel.core.errors import Invalid
from pki.core import der
from pki.core.filling import AskedNames
from pki.core.key_checks import ADVICE, IssuablePublicKey, WeakKey, check_key

__all__ = [
    "BadCsrSignature", "CsrFacts", "IssuablePublicKey", "MalformedCsr", "WeakKey", "check_key", "facts_of",
    "inspect_csr", "spki_sha256",
]  # fmt: skip

MAX_CSR_OCTETS = 16_384
_COMMON_NAME = der.oid("2.5.4.3")
_ALTERNATIVE_NAME = der.oid("2.5.29.17")
_NOTHING = AskedNames()
_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}  # X.680 8.4, by tag


class MalformedCsr(Invalid):
    """The text is no PKCS#10 request."""

    code = "csr-malformed"


class BadCsrSignature(Invalid):
    """Whoever sent the request does not hold its key, or the request was changed."""

    code = "csr-signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrFacts:
    """What a request says and proves. `common_name` is what it asks for, or None; hex of SHA-256 over the SPKI.

    `asked` are the alternative names that it would like; a profile says which of them count.
    """

    public_key: IssuablePublicKey
    public_key_sha256: str
    common_name: str | None
    asked: AskedNames = _NOTHING


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
    return facts_of(public_key, common_name=common_name, asked=_asked_names(request))


def facts_of(public_key: PublicKeyTypes, *, common_name: str | None = None, asked: AskedNames = _NOTHING) -> CsrFacts:
    """The same of a key of our own that needs no request. Raises WeakKey."""
    return CsrFacts(
        public_key=check_key(public_key),
        public_key_sha256=spki_sha256(public_key),
        common_name=common_name,
        asked=asked,
    )


def spki_sha256(public_key: PublicKeyTypes) -> str:
    """Hex of SHA-256 over the SubjectPublicKeyInfo."""
    return hashlib.sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


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


def _asked_names(request: x509.CertificateSigningRequest) -> AskedNames:
    """The alternative names of the request; none, if its extensions can not be read, since nobody has to have any."""
    if _ALTERNATIVE_NAME not in request.tbs_certrequest_bytes:
        return _NOTHING
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return _NOTHING
    return AskedNames(
        dns=tuple(names.get_values_for_type(x509.DNSName)),
        ip=tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        email=tuple(names.get_values_for_type(x509.RFC822Name)),
        uri=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
    )
