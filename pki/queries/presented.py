"""Judging a certificate that somebody presents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from kernel.core.errors import Denied
from pki.core.values import CertificateState, IssuedCertificate
from pki.queries.certificates import CERTIFICATES
from pki.queries.issuers import is_issuer_revoked


class CertificateRefused(Denied):
    """A presented certificate does not prove its holder."""

    code = "certificate-refused"


def verify_presented(*, chain: Sequence[x509.Certificate], now: datetime) -> IssuedCertificate:
    """Our record of the leaf `chain[0]`, if it proves its holder now.

    It is one of ours octet by octet, for client authentication, in its time, and neither it nor an issuer above it is
    revoked. Raises CertificateRefused with the code certificate-unknown, -expired, -revoked or -usage.
    """
    fingerprint = hashlib.sha256(chain[0].public_bytes(Encoding.DER)).hexdigest() if chain else ""
    row = CERTIFICATES.filter(fingerprint=fingerprint).first()
    if row is None:
        raise CertificateRefused("The certificate was not issued here: enrol first.", code="certificate-unknown")
    if row.state != CertificateState.ISSUED or is_issuer_revoked(row.issuer):
        raise CertificateRefused("The certificate is revoked or on hold: enrol again.", code="certificate-revoked")
    if not row.not_before <= now < row.not_after or row.issuer.not_after <= now:
        raise CertificateRefused(
            "The certificate is not in its time: renew before it ends.", code="certificate-expired"
        )
    if not _authenticates_clients(chain[0]):
        raise CertificateRefused("The certificate is not for client authentication.", code="certificate-usage")
    return row.as_value()


def _authenticates_clients(leaf: x509.Certificate) -> bool:
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages
