"""What devices of a broker have to trust, now and after the next rollover: handed out before the new CA is needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from brokers.core.values import Broker
from kernel.core.ids import DomainId
from pki import queries as pki
from pki.core.values import Issuer, IssuerId


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustBundle:
    """The CAs that devices trust, those above first, and PEM of them and of the link certificates between roots."""

    issuers: tuple[Issuer, ...]
    link_count: int
    pem: str


def trust_bundle_of(*, broker: Broker, now: datetime) -> TrustBundle:
    """The bundle of the broker's domain: a new root is in it from when it was made on, an old one until it is retired.

    Who has it verifies what either of them signed.
    """
    issuers = tuple(pki.trusted_issuers(domain=broker.domain))
    slugs = {issuer.slug for issuer in issuers}
    links = [pem for issuer in issuers for pem in _links(issuer.id, slugs, now=now)]
    return TrustBundle(
        issuers=issuers,
        link_count=len(links),
        pem="".join([issuer.certificate_pem for issuer in issuers] + links),
    )


def link_pem(*, issuer: IssuerId, domain: DomainId, now: datetime) -> str:
    """PEM of the link certificates that lead from the CAs above a certificate of `issuer` to other trusted ones."""
    trusted = {each.id: each for each in pki.trusted_issuers(domain=domain)}
    slugs = {each.slug for each in trusted.values()}
    found, above = [], trusted.get(issuer)
    while above is not None:
        found += _links(above.id, slugs, now=now)
        above = trusted.get(above.parent) if above.parent else None
    return "".join(found)


def _links(issuer: IssuerId, trusted: set[str], *, now: datetime) -> list[str]:
    return [
        each.certificate_pem
        for each in pki.list_cross_certificates(issuer=issuer)
        if each.signer in trusted and each.not_before <= now < each.not_after
    ]
