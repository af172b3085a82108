"""Asking another CA to certify one of ours (PKCS#10, RFC 2986)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pki.core.certificates import BadName, key_usage_of
from pki.core.keys import SigningKey, key_identifier, signature_hash
from pki.core.profiles import get_profile


def ca_name(common_name: str, *, organization: str = "", organizational_unit: str = "") -> x509.Name:
    """The name of a CA to be: O, OU and CN. Raises BadName."""
    parts = (
        (NameOID.ORGANIZATION_NAME, organization),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, organizational_unit),
        (NameOID.COMMON_NAME, common_name),
    )
    if not common_name or not all(text.isprintable() for _, text in parts):
        raise BadName("A CA has a common name, and no control characters in any name.")
    try:
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])
    except ValueError as error:
        raise BadName("Each part of a name has 1 to 64 characters.") from error


def build_ca_request(name: x509.Name, key: SigningKey, *, path_length: int | None, key_id: bytes = b"") -> bytes:
    """The DER of a request that says it is for a CA: basicConstraints, keyUsage and subjectKeyIdentifier.

    `key_id` is what the CA calls its key already, if it does.
    """
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage_of(get_profile("issuing-ca")), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(key_id or key_identifier(key.public_key())), critical=False)
        .sign(key, signature_hash(key))
    )
    return request.public_bytes(Encoding.DER)
