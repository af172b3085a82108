"""Who gains and who loses what, between two states of Mosquitto's dynamic security plugin, as topic filters."""

from __future__ import annotations

from functools import partial

from acl.core.values import Action
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.mosquitto.dynsec_state import AclType, DynsecState
from brokers.core.ports import Effect

_ABOUT = {Action.PUBLISH: AclType.SEND, Action.SUBSCRIBE: AclType.RECEIVE}


def effect(before: DynsecState, after: DynsecState) -> Effect:
    """What changes for the clients of either."""
    return effects.effect({*before.clients, *after.clients}, partial(_flow, before), partial(_flow, after))


def _flow(state: DynsecState, username: str, action: Action) -> Flow:
    """What a client's roles allow and deny; a disabled one has the role that denies everything."""
    client = state.clients.get(username)
    acls = [acl for name, _ in (client.roles if client else ()) for acl in state.roles.get(name, ())]
    wanted = [acl for acl in acls if acl.kind is _ABOUT[action]]
    return Flow(
        allows=frozenset(acl.topic for acl in wanted if acl.allow),
        denies=frozenset(acl.topic for acl in wanted if not acl.allow),
    )
