"""What an adapter is made from, without a database."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid5

from brokers.core.values import AdapterKind, Broker, BrokerId, BrokerLink, Connection, SyncState
from tests.cast import NORTH, NOW


def broker_link(
    kind: AdapterKind, connection: Mapping[str, object], *, takes_passwords: bool | None = None
) -> BrokerLink:
    """The link of a broker that nothing was written to yet."""
    broker = Broker(
        id=BrokerId(uuid5(NORTH, kind)),
        domain=NORTH,
        domain_slug="north",
        name="hall",
        kind=kind,
        listeners=(),
        sync=SyncState.UNKNOWN,
        detail="",
        version="",
        checked_at=None,
        last_seen_at=None,
        managed_since=None,
        converged_seq=0,
        created_at=NOW,
        takes_passwords=takes_passwords,
    )
    return BrokerLink(broker=broker, connection=Connection({**connection}))
