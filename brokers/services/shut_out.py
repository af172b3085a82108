"""What must never wait for anybody: that those who are shut out, or in quarantine, have no more than they should."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

from brokers import models
from brokers.core.plans import rendering_digest
from brokers.core.ports import BrokerAdapter, DesiredState, RenderSubject, Standing, Step
from brokers.services.converging import bring_to
from brokers.services.lease import Lease
from devices.core.values import DeviceState
from devices.queries import auth_ids_in_state
from kernel.core.ids import DomainId

_AT_ONCE = 200


def correct_shut_out(
    row: models.Broker,
    adapter: BrokerAdapter,
    desired: DesiredState,
    steps: Sequence[Step],
    lease: Lease,
    *,
    foreign: Collection[str],
) -> int:
    """How many changes it took to bring these to what they should have; `desired`, `steps` and `foreign` are of all.

    While all is as it was when none was needed last, none is needed now: then nobody is read again but once an hour.
    Raises what `bring_to` raises; of names that are taken the comparison tells.
    """
    concerned = those_shut_out(DomainId(row.domain_id), desired.subjects)
    found = _digest(row, adapter, desired, concerned, steps, foreign=foreign, hour=f"{lease.now():%Y-%m-%dT%H}")
    if found == row.shut_out_digest:
        return 0
    made = 0
    for begin in range(0, len(concerned), _AT_ONCE):
        some = tuple(concerned[begin : begin + _AT_ONCE])
        lease.keep()
        names = frozenset(subject.principal.auth_id for subject in some)
        made += bring_to(adapter, DesiredState(subjects=some, only=names), row, lease)[0]
    if not made:
        models.Broker.objects.filter(id=row.id).update(shut_out_digest=found)
    return made


def those_shut_out(domain: DomainId, subjects: Iterable[RenderSubject]) -> list[RenderSubject]:
    """Those of the domain's subjects who are shut out, or in quarantine."""
    quarantined = auth_ids_in_state(domain=domain, state=DeviceState.QUARANTINED)
    return [
        subject
        for subject in subjects
        if subject.state is not Standing.ADMITTED or subject.principal.auth_id in quarantined
    ]


def _digest(
    row: models.Broker,
    adapter: BrokerAdapter,
    desired: DesiredState,
    concerned: Iterable[RenderSubject],
    steps: Iterable[Step],
    *,
    foreign: Collection[str],
    hour: str,
) -> str:
    """Of what should hold, for whom, where, and of all in which the broker differs: one more difference is another.

    An account that somebody made in the name of one of them is no step, as long as all are looked at.
    """
    digest = hashlib.sha256(f"{hour} {row.tag} {rendering_digest(adapter.render(desired))}".encode())
    for subject in concerned:
        name = subject.principal.auth_id
        digest.update(f"\n{name} {name in foreign}".encode())
    for step in steps:
        digest.update(repr((step.kind, step.target, step.summary, step.payload)).encode())
    return digest.hexdigest()
