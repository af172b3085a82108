"""The writes of the certificate authority, one function a use case."""

from pki.services.abandon_unsigned import abandon_unsigned
from pki.services.confirm_revocation import confirm_revocation
from pki.services.issue_certificate import issue_certificate
from pki.services.issuers import (
    cancel_issuer_request,
    create_issuing_ca,
    create_root,
    import_issuer,
    import_offline_issuer,
    install_issuer,
    request_issuer,
    trust_issuer,
)
from pki.services.ocsp_signers import ensure_ocsp_signer
from pki.services.publish_crl import publish_crl
from pki.services.query_ocsp import query_ocsp
from pki.services.revoke_certificate import hold_certificate, release_certificate, revoke_certificate

__all__ = [
    "abandon_unsigned",
    "cancel_issuer_request",
    "confirm_revocation",
    "create_issuing_ca",
    "create_root",
    "ensure_ocsp_signer",
    "hold_certificate",
    "import_issuer",
    "import_offline_issuer",
    "install_issuer",
    "issue_certificate",
    "publish_crl",
    "query_ocsp",
    "release_certificate",
    "request_issuer",
    "revoke_certificate",
    "trust_issuer",
]
