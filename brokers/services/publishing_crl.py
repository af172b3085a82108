"""Giving the CRLs of a domain, and the CAs to trust, to a broker that reads them from files.

A broker looks at certificates when somebody connects. Whoever shows a revoked one is disconnected at once, and comes in
again until the broker knows of it; then it is disconnected once more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.crl_bundle import UnfitCrl, bundle
from brokers.core.ports import Capabilities
from brokers.core.values import Broker, BrokerId
from brokers.services.desired import is_good_or_untouched
from brokers.services.disconnecting import end_again
from devices import queries as devices
from devices.core.values import Device, principal_held
from kernel.core.ids import DomainId
from pki import queries as pki
from pki.core.values import IssuerId, IssuerKind
from pki.queries.revocations import holders_taken_away

_AT_ONCE = 200
_MOST_URGENT = 50
_CAME_BACK = "Somebody may have come in with a revoked certificate of it while the broker did not know of that."


def push_crl(*, broker: BrokerId, now: datetime) -> str:
    """One sentence on how the newest CRLs of the broker's domain came into force there. Idempotent.

    Whoever is still let in, though a certificate of it was revoked or held since the CRLs before, is disconnected.
    Raises UnfitCrl when the others are in force, and of that issuer the broker keeps what it has; BrokerUnreachable.
    """
    link = queries.link_to(broker=broker)
    trusted = pki.trusted_issuers(domain=link.broker.domain)
    crls, revisions = {}, {}
    for issuer in trusted:
        newest = pki.latest_crl(issuer=issuer.id)
        # A broker needs the CRLs of who signs for devices. That of a root that signs elsewhere may wait for its key.
        if issuer.kind is IssuerKind.ONLINE or (newest and newest.next_update > now):
            crls[issuer.certificate_der] = newest.der if newest else None
            revisions[issuer.certificate_der] = issuer.id, newest.revision if newest else -1
    fit, unfit = bundle(crls, now=now)
    trust = "".join(issuer.certificate_pem for issuer in trusted)
    adapter = adapter_for(link)
    sentence = adapter.publish_crl(fit, trust=trust) if fit else ""
    known = dict(found for der, found in revisions.items() if der not in unfit)
    here = adapter.capabilities_here()
    if lag := here.certificate_lag:
        at = [now, now + lag] if sentence else [now + lag]  # now, if the broker has just read them
        _disconnect_taken_away(link.broker, here, known, at=at, now=now)
    if unfit:
        raise UnfitCrl(" ".join(error.detail for error in unfit.values()))
    return sentence or "This broker takes no CRL file from Gatehouse."


def _disconnect_taken_away(
    broker: Broker, here: Capabilities, revisions: Mapping[IssuerId, int], *, at: Collection[datetime], now: datetime
) -> None:
    """Orders it, at each of these times, for who was not disconnected yet since it lost a certificate."""
    row = models.Broker.objects.managed().filter(id=broker.id).first()
    if row is None:
        return
    before = {issuer: row.crl_revisions.get(str(issuer), -1) for issuer in revisions}
    holders = {
        holder
        for issuer, revision in revisions.items()
        if revision > before[issuer]
        for holder in holders_taken_away(issuer=issuer, after=before[issuer], up_to=revision, now=now)
    }
    bulk = len(holders) > _MOST_URGENT
    for concerned in _still_let_in(sorted(holders), domain=broker.domain):
        end_again(row, here, concerned=concerned, at=at, note=_CAME_BACK, now=now, bulk=bulk)
    told = {str(issuer): revision for issuer, revision in revisions.items()}
    models.Broker.objects.filter(id=broker.id).update(crl_revisions=row.crl_revisions | told)


def _still_let_in(holders: Sequence[str], *, domain: DomainId) -> Iterator[Collection[Device]]:
    """Those of them who have a good certificate besides, some at a time; who has none is shut out otherwise."""
    revoked = pki.revoked_issuers(domain=domain)
    for begin in range(0, len(holders), _AT_ONCE):
        states = pki.certificate_states(holders=holders[begin : begin + _AT_ONCE])
        good = [holder for holder, held in states.items() if is_good_or_untouched(held, revoked=revoked)]
        ids = [id for id in map(principal_held, good) if id is not None]
        yield devices.principals_by_id(ids=ids).values()
