"""Where an issuer of elsewhere stands: its chain checked, and the CAs above it as rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId
from pki.core.ca_files import der_of
from pki.core.paths import check_path, check_signs_crls, order_chain
from pki.core.values import IssuerKind, IssuerState
from pki.models import Issuer, IssuerRequest
from pki.services.issuers.storing import NewIssuer, store_issuer

_GONE = (IssuerState.RETIRED, IssuerState.REVOKED)
_SLUG_ROOM = 40


class WrongKey(Invalid):
    """The private key is not the certificate's."""

    code = "issuer-key-mismatch"


class IssuerKnown(Conflict):
    """The domain has that CA already."""

    code = "issuer-known"


class IssuerGone(Conflict):
    """A CA above is retired or revoked here."""

    code = "issuer-gone"


def checked_chain(
    certificate: x509.Certificate, others: Sequence[x509.Certificate], *, domain: DomainId, now: datetime
) -> list[x509.Certificate]:
    """The certificate and all above it up to a root; what the domain has already need not be among `others`.

    Raises BrokenChain, NotACa, NotInTime, WeakKey, IssuerKnown, IssuerGone.
    """
    rows = list(Issuer.objects.filter(domain_id=domain))
    if any(bytes(row.der) == der_of(certificate) for row in rows):
        raise IssuerKnown("The domain has this CA already: show it with `manage.py issuer list`.")
    known = [x509.load_der_x509_certificate(bytes(row.der)) for row in rows]
    chain = order_chain(certificate, [*others, *known])
    check_path(chain, now=now)
    check_signs_crls(certificate)
    gone = {bytes(row.der): row.slug for row in rows if row.state in _GONE}
    for above in chain[1:]:
        if der_of(above) in gone:
            raise IssuerGone(
                f"Above it stands {gone[der_of(above)]}, which is retired or revoked: nobody would trust it."
            )
    return chain


def row_above(
    chain: Sequence[x509.Certificate], *, domain: DomainId, slug: str, actor: Actor, now: datetime
) -> Issuer | None:
    """The row of the CA above `chain[0]`, in the caller's transaction; those of the line that have none get one."""
    above: Issuer | None = None
    for depth, certificate in reversed(list(enumerate(chain))):
        if depth == 0:
            break
        found = Issuer.objects.filter(domain_id=domain, der=der_of(certificate)).first()
        above = found or _believe(certificate, above, domain=domain, slug=slug, depth=depth, actor=actor, now=now)
    return above


def _believe(
    certificate: x509.Certificate,
    above: Issuer | None,
    *,
    domain: DomainId,
    slug: str,
    depth: int,
    actor: Actor,
    now: datetime,
) -> Issuer:
    new = NewIssuer(
        domain=domain,
        slug=_free_slug(f"{slug[:_SLUG_ROOM].rstrip('-')}-above" + (f"-{depth}" if depth > 1 else "")),
        certificate=certificate,
        parent=above,
        kind=IssuerKind.TRUSTED,
    )
    return store_issuer(new, actor=actor, now=now, action="pki.issuer.trusted")


def _free_slug(wanted: str) -> str:
    slug, number = wanted, 1
    while Issuer.objects.filter(slug=slug).exists() or IssuerRequest.objects.filter(slug=slug).exists():
        number += 1
        slug = f"{wanted}-{number}"
    return slug
