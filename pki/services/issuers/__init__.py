"""The life of an issuer: made here or elsewhere, certified across, rolled over, retired or revoked."""

from pki.services.issuers.creating import create_issuing_ca, create_root
from pki.services.issuers.importing import import_issuer, import_offline_issuer, trust_issuer
from pki.services.issuers.requesting import cancel_issuer_request, install_issuer, request_issuer

__all__ = [
    "cancel_issuer_request",
    "create_issuing_ca",
    "create_root",
    "import_issuer",
    "import_offline_issuer",
    "install_issuer",
    "request_issuer",
    "trust_issuer",
]
