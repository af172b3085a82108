"""What an issuer's key is called in what it signs."""

from __future__ import annotations

from cryptography import x509

from pki.core.keys import key_identifier


def key_id_of(certificate: x509.Certificate) -> bytes:
    """The subject key identifier as the certificate says it, since others may have made it (RFC 5280 4.2.1.1)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return key_identifier(certificate.public_key())
