"""How Mosquitto 2.1 with the dynamic security plugin decides: as 2.0 does, once %u and %c are filled in.

Nothing of this was seen running: it follows the 2.1 sources. They compare a filter that begins with `$` only with ACLs
that do, which 2.0 does not; until somebody has seen it, `guarded` says which of the two it is, and the policy has to
hold under both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from acl.core.values import Principal, Request, Subscribe
from brokers.core.mosquitto import dynsec_emulator
from brokers.core.mosquitto.dynsec_state import Acl, AclType, DynsecState

_LITERAL = frozenset({AclType.SUBSCRIBE_LITERAL, AclType.UNSUBSCRIBE_LITERAL})


def emulate(state: DynsecState, principal: Principal, request: Request, *, guarded: bool = False) -> bool:
    """What the broker answers: a publish that passes, a subscription that is granted, a message that is delivered."""
    spelled = request.spelled if isinstance(request, Subscribe) else ""
    return dynsec_emulator.emulate(_asked(state, principal, spelled, guarded=guarded), principal.auth_id, request)


def deliverable(
    state: DynsecState, principal: Principal, wanted: Subscribe, topic: str, *, guarded: bool = False
) -> bool:
    """Whether a message on `topic` reaches the principal, who asked for `wanted`."""
    asked = _asked(state, principal, wanted.spelled, guarded=guarded)
    return dynsec_emulator.deliverable(asked, principal.auth_id, wanted.spelled, topic)


def _asked(state: DynsecState, principal: Principal, spelled: str, *, guarded: bool) -> DynsecState:
    """What of the state counts for the principal, who may ask for the filter `spelled`."""
    filled = _filled(state, principal)
    return _of_dollar(filled) if guarded and spelled.startswith("$") else filled


def _filled(state: DynsecState, principal: Principal) -> DynsecState:
    """The state with the roles of this client alone, and its names in them."""
    client = state.clients.get(principal.auth_id)
    names = [name for name, _ in client.roles] if client else []
    values = {"%u": principal.auth_id, "%c": principal.client_id}
    return replace(state, roles={name: _with(values, state.roles.get(name, frozenset())) for name in names})


def _with(values: Mapping[str, str], acls: frozenset[Acl]) -> frozenset[Acl]:
    return frozenset(found for acl in acls if (found := _fill(acl, values)))


def _fill(acl: Acl, values: Mapping[str, str]) -> Acl | None:
    """The ACL with the values in the levels that are %u or %c; None where that never matches.

    A value with a slash becomes several levels, one with a wildcard or none matches nothing, and one that begins with
    `$` nothing at the first level.
    """
    if acl.kind in _LITERAL:
        return acl
    levels = acl.topic.split("/")
    used = [values[level] for level in levels if level in values]
    hidden = values.get(levels[0], "").startswith("$")
    if hidden or any(not value or "+" in value or "#" in value for value in used):
        return None
    return replace(acl, topic="/".join(values.get(level, level) for level in levels))


def _of_dollar(state: DynsecState) -> DynsecState:
    """Without the patterns for subscribing that do not begin with `$`."""
    roles = {
        name: frozenset(acl for acl in acls if acl.kind is not AclType.SUBSCRIBE or acl.topic.startswith("$"))
        for name, acls in state.roles.items()
    }
    return replace(state, roles=roles)
