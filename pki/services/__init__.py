"""The writes of the certificate authority, one function a use case."""

from pki.services.abandon_unsigned import abandon_unsigned
from pki.services.confirm_revocation import confirm_revocation
from pki.services.hunt_weak_keys import FoundKey, Hunt, hunt_weak_keys
from pki.services.issue_certificate import issue_certificate
from pki.services.issue_certificates import IssuanceRequest, Refusal, issue_certificates
from pki.services.issue_in_bulk import OTHERS_HOLDERS, BulkIssuance, issue_part, order_issuance
from pki.services.issuers import (
    abandon_unclaimed,
    cancel_issuer_request,
    cancel_signing_request,
    create_issuing_ca,
    create_root,
    cross_request,
    cross_sign,
    export_signing_requests,
    import_cross_certificate,
    import_issuer,
    import_offline_issuer,
    import_signatures,
    install_issuer,
    order_crl,
    order_cross_certificate,
    order_issuing_ca,
    order_ocsp_signer,
    read_signing_file,
    request_issuer,
    retire_ended_issuers,
    retire_issuer,
    revoke_issuer,
    roll_over_issuer,
    trust_issuer,
)
from pki.services.ocsp_editions import prepare_ocsp_answers
from pki.services.ocsp_signers import ensure_ocsp_signer
from pki.services.preview_certificate import Preview, preview_certificate
from pki.services.probe_address import probe_address
from pki.services.profiles import retire_profile, save_profile
from pki.services.publish_crl import publish_crl
from pki.services.query_ocsp import query_ocsp
from pki.services.revoke_certificate import hold_certificate, release_certificate, revoke_certificate
from pki.services.revoke_matching import BulkRevocation, continue_revocation, revoke_matching

__all__ = [
    "OTHERS_HOLDERS",
    "BulkIssuance",
    "BulkRevocation",
    "FoundKey",
    "Hunt",
    "IssuanceRequest",
    "Preview",
    "Refusal",
    "abandon_unclaimed",
    "abandon_unsigned",
    "cancel_issuer_request",
    "cancel_signing_request",
    "confirm_revocation",
    "continue_revocation",
    "create_issuing_ca",
    "create_root",
    "cross_request",
    "cross_sign",
    "ensure_ocsp_signer",
    "export_signing_requests",
    "hold_certificate",
    "hunt_weak_keys",
    "import_cross_certificate",
    "import_issuer",
    "import_offline_issuer",
    "import_signatures",
    "install_issuer",
    "issue_certificate",
    "issue_certificates",
    "issue_part",
    "order_crl",
    "order_cross_certificate",
    "order_issuance",
    "order_issuing_ca",
    "order_ocsp_signer",
    "prepare_ocsp_answers",
    "preview_certificate",
    "probe_address",
    "publish_crl",
    "query_ocsp",
    "read_signing_file",
    "release_certificate",
    "request_issuer",
    "retire_ended_issuers",
    "retire_issuer",
    "retire_profile",
    "revoke_certificate",
    "revoke_issuer",
    "revoke_matching",
    "roll_over_issuer",
    "save_profile",
    "trust_issuer",
]
