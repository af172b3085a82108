"""Who gains and who loses what, between two states of Mosquitto's dynamic security plugin, as topic filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from acl.core.topics import covers, intersects
from acl.core.values import Action
from brokers.core.dynsec_state import AclType, DynsecState
from brokers.core.ports import Effect, EffectLine

MOST_LINES = 200
_ABOUT = {Action.PUBLISH: AclType.SEND, Action.SUBSCRIBE: AclType.RECEIVE}


@dataclass(frozen=True, slots=True)
class _Flow:
    allows: frozenset[str]
    denies: frozenset[str]


def effect(before: DynsecState, after: DynsecState) -> Effect:
    """What changes for the clients of either, at most 200 lines each way; `subscribe` is about what is delivered."""
    gain: list[EffectLine] = []
    lose: list[EffectLine] = []
    for name in sorted({*before.clients, *after.clients}):
        for action in Action:
            old, new = _flow(before, name, action), _flow(after, name, action)
            gain += _lines(name, action, _gained(old, new))
            lose += _lines(name, action, _gained(new, old))
        if len(gain) > MOST_LINES and len(lose) > MOST_LINES:
            break
    bounded = len(gain) > MOST_LINES or len(lose) > MOST_LINES
    return Effect(gain=tuple(gain[:MOST_LINES]), lose=tuple(lose[:MOST_LINES]), bounded=bounded)


def _flow(state: DynsecState, username: str, action: Action) -> _Flow:
    """What a client's roles allow and deny; a disabled one has the role that denies everything."""
    client = state.clients.get(username)
    acls = [acl for name, _ in (client.roles if client else ()) for acl in state.roles.get(name, ())]
    wanted = [acl for acl in acls if acl.kind is _ABOUT[action]]
    return _Flow(
        allows=frozenset(acl.topic for acl in wanted if acl.allow),
        denies=frozenset(acl.topic for acl in wanted if not acl.allow),
    )


def _gained(old: _Flow, new: _Flow) -> Iterator[str]:
    """Filters that are allowed now and were not, and filters whose deny is gone where something is allowed."""
    for topic in new.allows - old.allows:
        if not _covered(topic, old.allows - old.denies) and not _covered(topic, new.denies):
            yield topic
    for topic in new.allows & old.allows:
        if _covered(topic, old.denies) and not _covered(topic, new.denies):
            yield topic
    for topic in old.denies - new.denies:
        meets = any(intersects(allow, topic) for allow in new.allows & old.allows)
        if meets and not _covered(topic, new.denies) and not any(covers(topic, allow) for allow in old.allows):
            yield topic


def _covered(topic: str, filters: Iterable[str]) -> bool:
    return any(covers(found, topic) for found in filters)


def _lines(name: str, action: Action, filters: Iterable[str]) -> list[EffectLine]:
    return [EffectLine(auth_id=name, action=action.value, filter=found) for found in sorted(set(filters))]
