"""How Mosquitto 2.0.x with the dynamic security plugin decides, for tests and for `enforced_as`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from acl.core.topics import matches
from acl.core.values import Publish, Receive, Request
from brokers.core.mosquitto.dynsec_state import Acl, AclType, DynsecState

_CONTROL = "$CONTROL/"
_MOST_SLASHES = 200


def emulate(state: DynsecState, username: str, request: Request) -> bool:
    """What the broker answers: a publish that passes, a subscription that is granted, a message that is delivered."""
    if isinstance(request, Publish):
        return may_send(state, username, request.topic)
    if isinstance(request, Receive):
        return may_receive(state, username, request.topic)
    spelled = request.topic if request.group is None else f"$share/{request.group}/{request.topic}"
    return may_subscribe(state, username, spelled)


def may_send(state: DynsecState, username: str, topic: str) -> bool:
    """Whether a publish passes. The broker itself refuses topics that begin with `$SYS`."""
    if topic.startswith("$SYS"):
        return False
    return _decide(state, username, AclType.SEND, topic, matches, default=state.defaults.send)


def may_receive(state: DynsecState, username: str, topic: str) -> bool:
    """Whether a message on `topic` is delivered to a client that is subscribed to it somehow."""
    return _decide(state, username, AclType.RECEIVE, topic, matches, default=state.defaults.receive)


def may_subscribe(state: DynsecState, username: str, filter: str) -> bool:
    """Whether SUBACK grants the filter as it stands in the SUBSCRIBE packet."""
    return _decide(state, username, AclType.SUBSCRIBE, filter, contains, default=state.defaults.subscribe)


def deliverable(state: DynsecState, username: str, filter: str, topic: str) -> bool:
    """Whether a message on `topic` reaches a client that asked for `filter`."""
    wanted = filter.split("/", 2)[2] if filter.startswith("$share/") else filter
    return may_subscribe(state, username, filter) and matches(wanted, topic) and may_receive(state, username, topic)


def refuses(topic: str) -> bool:
    """Whether the broker closes a connection over that topic or filter, whoever sends it (seen with 2.0.11).

    Control characters, the noncharacters of Unicode, or more than 200 slashes.
    """
    if topic.count("/") > _MOST_SLASHES:
        return True
    points = [] if topic.isprintable() else [ord(character) for character in topic]
    return any(
        point < 0x20 or 0x7F <= point <= 0x9F or 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE
        for point in points
    )


def contains(pattern: str, filter: str) -> bool:
    """Whether `filter` is contained in `pattern`, level by level; `$` means nothing here. 2.0.11 has one oddity."""
    if filter == "#" and pattern in {"/#", "+/#"}:
        return True
    ours, theirs = pattern.split("/"), filter.split("/")
    for position, level in enumerate(ours):
        if level == "#":
            return True
        if position == len(theirs) or theirs[position] == "#":
            return False
        if level not in ("+", theirs[position]):
            return False
    return len(ours) == len(theirs)


def _decide(
    state: DynsecState,
    username: str,
    kind: AclType,
    topic: str,
    meets: Callable[[str, str], bool],
    *,
    default: bool,
) -> bool:
    if refuses(topic):
        return False
    for acl in _in_order(state, username, kind, topic):
        if acl.kind is not kind or meets(acl.topic, topic):
            return acl.allow
    return default and not topic.startswith(_CONTROL)


def _in_order(state: DynsecState, username: str, kind: AclType, topic: str) -> Iterator[Acl]:
    """The ACLs that are asked: by priority of the role; in a role the literal one first, then by priority."""
    client = state.clients.get(username)
    for name, _ in sorted(client.roles if client else (), key=lambda reference: -reference[1]):
        acls = state.roles.get(name, frozenset())
        if kind is AclType.SUBSCRIBE:
            yield from (acl for acl in acls if acl.kind is AclType.SUBSCRIBE_LITERAL and acl.topic == topic)
        yield from sorted((acl for acl in acls if acl.kind is kind), key=lambda acl: -acl.priority)
