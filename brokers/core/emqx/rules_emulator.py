"""How EMQX's built-in database judges, for tests and for `enforced_as`. It knows nothing of policy."""

from __future__ import annotations

from acl.core.topics import matches
from acl.core.values import Principal, Request, Subscribe
from brokers.core.emqx.emulator import decided
from brokers.core.emqx.rules import EmqxRules


def emulate(state: EmqxRules, principal: Principal, request: Request) -> bool:
    """What EMQX answers if nothing but the database is asked: `no_match` holds where no rule matches."""
    rules = (
        *state.clients.get(principal.client_id, ()),
        *state.users.get(principal.username, ()),
        *state.everyone,
    )
    answer = decided(rules, principal, request)
    return state.no_match == "allow" if answer is None else answer


def deliverable(state: EmqxRules, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches a client that asked for `wanted`: deliveries are not filtered."""
    return emulate(state, principal, wanted) and matches(wanted.topic, topic)
