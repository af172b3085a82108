"""How Mosquitto decides by an ACL file, for tests and for `enforced_as`. Written from 2.0.11 as it runs.

2.1 differs in one thing: there %u and %c count only where they are a whole level.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from acl.core.topics import matches
from acl.core.values import Principal, Publish, Receive, Request, Subscribe
from brokers.core.mosquitto.acl_file import Access, AclFile, AclLine
from brokers.core.mosquitto.dynsec_emulator import refuses

_ANYWHERE = re.compile("%[uc]")
_WHOLE_LEVEL = re.compile("(?<![^/])%[uc](?![^/])")


def emulate(state: AclFile, principal: Principal, request: Request, *, whole_levels: bool = False) -> bool:
    """Whether a publish passes, a subscription is granted (each that is well-formed is), a message is delivered.

    The principal's auth id is its username; who has none is anonymous. `whole_levels` is how 2.1 does it.
    """
    if isinstance(request, Subscribe):
        return not refuses(request.spelled)
    if isinstance(request, Receive):
        return _may(state, principal, Access.READ, request.topic, whole_levels=whole_levels)
    return _publishes(state, principal, request, whole_levels=whole_levels)


def deliverable(
    state: AclFile, principal: Principal, wanted: Subscribe, topic: str, *, whole_levels: bool = False
) -> bool:
    """Whether a message on `topic` reaches the principal, who asked for `wanted`."""
    granted = not refuses(wanted.spelled)
    return (
        granted
        and matches(wanted.topic, topic)
        and _may(state, principal, Access.READ, topic, whole_levels=whole_levels)
    )


def _publishes(state: AclFile, principal: Principal, request: Publish, *, whole_levels: bool) -> bool:
    """The broker refuses what begins with `$SYS`, and keeps what is under `$CONTROL` to itself."""
    if request.topic.startswith(("$SYS", "$CONTROL/")):
        return False
    return _may(state, principal, Access.WRITE, request.topic, whole_levels=whole_levels)


def _may(state: AclFile, principal: Principal, wanted: Access, topic: str, *, whole_levels: bool) -> bool:
    """By the lines of the user, and where none of them speaks, by patterns. In each, denies are asked first."""
    if refuses(topic):
        return False
    name, client_id = principal.auth_id, principal.client_id
    verdict = _verdict(state.users.get(name or None, ()), wanted, topic)
    if verdict is not None:
        return verdict
    if any(character in name + client_id for character in "+#"):
        return False  # so is it since 1.4.12, and only if there are patterns
    marks = _WHOLE_LEVEL if whole_levels else _ANYWHERE
    values = {"%u": name, "%c": client_id}
    return _verdict(_filled(state.patterns, marks, values), wanted, topic) or False


def _filled(lines: Iterable[AclLine], marks: re.Pattern[str], values: Mapping[str, str]) -> list[AclLine]:
    """The patterns with the values in them, whatever these hold; none with %u for who has no username."""
    return [
        AclLine(access=line.access, topic=marks.sub(lambda found: values[found[0]], line.topic))
        for line in lines
        if values["%u"] or "%u" not in line.topic
    ]


def _verdict(lines: Iterable[AclLine], wanted: Access, topic: str) -> bool | None:
    """None if no line speaks of it."""
    met = [line.access for line in lines if matches(line.topic, topic)]
    if Access.DENY in met:
        return False
    return True if any(access.grants(wanted) for access in met) else None
