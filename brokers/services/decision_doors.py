"""Which brokers may ask over HTTP, and by which secrets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from brokers import models
from brokers.core.auth_chains.chain import AuthChain
from brokers.core.auth_chains.document import InvalidAuthChain, kept_chain
from brokers.core.auth_chains.terms import AuthTerms
from brokers.core.decide.decisions import Identity
from brokers.core.values import BrokerId
from brokers.services.decision_secrets import PURPOSE
from kernel.conf import master_key
from kernel.core.ids import DomainId
from kernel.core.secrets import same

log = logging.getLogger(__name__)

_NOBODYS = bytes(32)
_LONGEST_SECRET = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One broker that asks. `secrets` are what is kept of each, with what it says of identity.

    `good` are those that were found good, so that not each question is hashed.
    """

    broker: BrokerId
    domain: DomainId
    secrets: tuple[tuple[bytes, Identity], ...]
    terms: AuthTerms = field(default_factory=lambda: AuthTerms(AuthChain()))
    good: dict[str, Identity] = field(default_factory=dict, repr=False, compare=False)


def read_doors() -> Mapping[str, Door]:
    """Every broker that has a decision secret, by its id as text; without those whose chain can not be read."""
    rows = models.Broker.objects.exclude(decision_secrets=None).prefetch_related("decision_secrets").order_by("id")
    return {str(row.id): door for row in rows if (door := _door(row)) is not None}


def _door(row: models.Broker) -> Door | None:
    try:
        chain = kept_chain(row.auth_chain)
    except InvalidAuthChain:  # nobody is let in by half of it
        log.exception("whatever broker %s asks is refused: its authentication chain can not be read", row.id)
        return None
    return Door(
        broker=BrokerId(row.id),
        domain=DomainId(row.domain_id),
        secrets=tuple((bytes(each.secret_hash), Identity(each.identity)) for each in row.decision_secrets.all()),
        terms=AuthTerms(chain),
    )


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
