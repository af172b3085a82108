"""What must never wait for anybody: that those who are shut out, or in quarantine, have no more than they should."""

from __future__ import annotations

from brokers import models
from brokers.core.ports import BrokerAdapter, DesiredState, Standing
from brokers.services.converging import bring_to
from brokers.services.lease import Lease
from devices.core.values import DeviceState
from devices.queries import auth_ids_in_state
from kernel.core.ids import DomainId

_AT_ONCE = 200


def correct_shut_out(row: models.Broker, adapter: BrokerAdapter, desired: DesiredState, lease: Lease) -> int:
    """How many changes it took to bring these to what they should have; `desired` is of all.

    Raises what `bring_to` raises.
    """
    quarantined = auth_ids_in_state(domain=DomainId(row.domain_id), state=DeviceState.QUARANTINED)
    concerned = [
        subject
        for subject in desired.subjects
        if subject.state is not Standing.ADMITTED or subject.principal.auth_id in quarantined
    ]
    made = 0
    for begin in range(0, len(concerned), _AT_ONCE):
        some = tuple(concerned[begin : begin + _AT_ONCE])
        lease.keep()
        names = frozenset(subject.principal.auth_id for subject in some)
        made += bring_to(adapter, DesiredState(subjects=some, only=names), row, lease)[0]
    return made
