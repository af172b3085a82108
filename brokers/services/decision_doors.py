"""Which brokers may ask over HTTP, and by which secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brokers import models
from brokers.core.decide import Identity
from brokers.core.values import BrokerId
from brokers.services.decision_secrets import PURPOSE
from kernel.conf import master_key
from kernel.core.ids import DomainId
from kernel.core.secrets import same

_NOBODYS = bytes(32)
_LONGEST_SECRET = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One broker that asks. `secrets` are what is kept of each, with what it says of identity."""

    broker: BrokerId
    domain: DomainId
    secrets: tuple[tuple[bytes, Identity], ...]


def read_doors() -> Mapping[str, Door]:
    """Every broker that has a decision secret, by its id as text."""
    rows = models.DecisionSecret.objects.order_by("broker_id", "id").select_related("broker")
    doors: dict[str, Door] = {}
    for row in rows:
        broker, id = row.broker, str(row.broker_id)
        before = doors[id].secrets if id in doors else ()
        doors[id] = Door(
            broker=BrokerId(broker.id),
            domain=DomainId(broker.domain_id),
            secrets=(*before, (bytes(row.secret_hash), Identity(row.identity))),
        )
    return doors


def identity_behind(door: Door | None, broker: str, secret: str) -> tuple[Identity, bool] | None:
    """What the secret says of identity, and whether its hash hangs on the present master key.

    None if it is none of this broker's; it takes as long for a broker that there is not.
    """
    if len(secret) > _LONGEST_SECRET:
        return None
    offered = master_key().keyed_hashes(f"{broker}.{secret}", purpose=PURPOSE)
    found = None
    for kept, identity in door.secrets if door else ((_NOBODYS, Identity.SHOWN),):
        if any(same(kept, each) for each in offered):
            found = (identity, same(kept, offered[0]))
    return found


def move_to_present_key(broker: BrokerId, secret: str) -> None:
    """Hashes the secret, which is good, anew if its hash hangs on an older master key, which may be taken away then."""
    fresh, *older = master_key().keyed_hashes(f"{broker}.{secret}", purpose=PURPOSE)
    models.DecisionSecret.objects.filter(broker_id=broker, secret_hash__in=older).update(secret_hash=fresh)
