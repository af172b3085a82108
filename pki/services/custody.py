"""Which custody keeps the keys, and an issuer's facts beside its key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from kernel.core.errors import Conflict
from pki.conf import issuer_url
from pki.core.certificates import Authority, constraints_of
from pki.core.key_ids import key_id_of
from pki.core.keys import SigningKey
from pki.core.paths import path_length_of
from pki.core.ports import KeyCustody
from pki.core.values import KeyId
from pki.models import Issuer
from pki.services.kept_keys import KeptKeys

custody: KeyCustody = KeptKeys()


class IssuerEnded(Conflict):
    """The issuer is no longer valid."""

    code = "issuer-ended"


class KeyElsewhere(Conflict):
    """The issuer is offline, or another's."""

    code = "issuer-key-elsewhere"


def check_in_time(issuer: Issuer, *, now: datetime) -> None:
    """Raises IssuerEnded: nobody would believe what it signs."""
    if issuer.not_after <= now:
        raise IssuerEnded(f"The issuer {issuer.slug} has ended: use a newer one.")


def signing_key(issuer: Issuer) -> SigningKey:
    """The issuer's key. Raises KeyElsewhere if it is not online."""
    if issuer.key_id is None:
        raise KeyElsewhere(f"The key of {issuer.slug} is not here: it signs elsewhere.")
    return custody.open(KeyId(issuer.key_id))


def authority_of(issuer: Issuer, *, shard: int | None = None) -> Authority:
    """The issuer as its certificates name it; those of a shard name that shard's CRL."""
    certificate = x509.load_der_x509_certificate(bytes(issuer.der))
    return Authority(
        name=certificate.subject,
        key_id=key_id_of(certificate),
        not_after=issuer.not_after,
        ocsp_url=issuer_url(issuer.slug, "ocsp"),
        certificate_url=issuer_url(issuer.slug, "cert"),
        crl_url=issuer_url(issuer.slug, "crl" if shard is None else f"crl/{shard}"),
        path_length=path_length_of(certificate),
        constraints=tuple(_constraints(issuer)),
    )


def _constraints(issuer: Issuer) -> Iterator[x509.NameConstraints]:
    """Those of the issuer and of all above it: whoever verifies heeds each (RFC 5280 6.1.4)."""
    above: Issuer | None = issuer
    while above is not None:
        found = constraints_of(x509.load_der_x509_certificate(bytes(above.der)))
        if found is not None:
            yield found
        above = above.parent
