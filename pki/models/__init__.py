"""Tables of the certificate authority. `domain_id` and `holder` are opaque: they point to apps above."""

from pki.models.certificates import Certificate, CertificateQuerySet, PublicKeyHolder
from pki.models.crls import Crl
from pki.models.issuers import CrossCertificate, Issuer, IssuerRequest, OcspSigner, SigningRequest, to_pem
from pki.models.keys import Key
from pki.models.profiles import ProfileVersion

__all__ = [
    "Certificate",
    "CertificateQuerySet",
    "Crl",
    "CrossCertificate",
    "Issuer",
    "IssuerRequest",
    "Key",
    "OcspSigner",
    "ProfileVersion",
    "PublicKeyHolder",
    "SigningRequest",
    "to_pem",
]
