"""The life of an issuer: made here or elsewhere, certified across, rolled over, retired or revoked."""

from pki.services.issuers.creating import create_issuing_ca, create_root
from pki.services.issuers.cross_signing import cross_request, cross_sign, import_cross_certificate
from pki.services.issuers.importing import import_issuer, import_offline_issuer, trust_issuer
from pki.services.issuers.offline_files import export_signing_requests, import_signatures, read_signing_file
from pki.services.issuers.ordering import order_cross_certificate, order_issuing_ca
from pki.services.issuers.orders import cancel_signing_request
from pki.services.issuers.requesting import cancel_issuer_request, install_issuer, request_issuer
from pki.services.issuers.retiring import retire_ended_issuers, retire_issuer
from pki.services.issuers.revoking import revoke_issuer
from pki.services.issuers.rolling_over import roll_over_issuer
from pki.services.issuers.standing_orders import order_crl, order_ocsp_signer
from pki.services.issuers.unclaimed import abandon_unclaimed

__all__ = [
    "abandon_unclaimed",
    "cancel_issuer_request",
    "cancel_signing_request",
    "create_issuing_ca",
    "create_root",
    "cross_request",
    "cross_sign",
    "export_signing_requests",
    "import_cross_certificate",
    "import_issuer",
    "import_offline_issuer",
    "import_signatures",
    "install_issuer",
    "order_crl",
    "order_cross_certificate",
    "order_issuing_ca",
    "order_ocsp_signer",
    "read_signing_file",
    "request_issuer",
    "retire_ended_issuers",
    "retire_issuer",
    "revoke_issuer",
    "roll_over_issuer",
    "trust_issuer",
]
