"""Reading issuers, certificates and CRLs."""

from pki.queries.certificates import (
    APPROXIMATE_FROM,
    UnknownCertificate,
    certificates_by_id,
    certificates_of,
    count_certificates,
    find_certificate_by_fingerprint,
    find_certificate_by_serial,
    get_certificate,
    holder_of_key,
    list_certificates,
)
from pki.queries.crls import (
    crl_bundle,
    crl_is_due,
    crl_status,
    crl_statuses,
    latest_crl,
    newest_crl_number,
)
from pki.queries.issuers import (
    UnknownIssuer,
    find_issuer,
    is_issuer_revoked,
    list_issuers,
    ocsp_signer_ends_at,
    trust_bundle,
)
from pki.queries.presented import (
    CertificateRefused,
    verify_presented,
)

__all__ = [
    "APPROXIMATE_FROM",
    "CertificateRefused",
    "UnknownCertificate",
    "UnknownIssuer",
    "certificates_by_id",
    "certificates_of",
    "count_certificates",
    "crl_bundle",
    "crl_is_due",
    "crl_status",
    "crl_statuses",
    "find_certificate_by_fingerprint",
    "find_certificate_by_serial",
    "find_issuer",
    "get_certificate",
    "holder_of_key",
    "is_issuer_revoked",
    "latest_crl",
    "list_certificates",
    "list_issuers",
    "newest_crl_number",
    "ocsp_signer_ends_at",
    "trust_bundle",
    "verify_presented",
]
