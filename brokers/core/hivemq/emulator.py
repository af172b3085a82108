"""How HiveMQ judges permissions (2026.5, `DefaultPermissionsEvaluator`), for tests and for `enforced_as`.

It knows nothing of policy. Enterprise is taken to judge as the Community Edition does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from acl.core.topics import InvalidTopic, matches, valid_filter
from acl.core.values import EVERY_QOS, Principal, Publish, Receive, Request, Subscribe
from brokers.core.hivemq.permissions import ANY_GROUP, NOTHING, Activity, Permission, Realm, Retained, Sharing

CLIENT_ID = "${mqtt-clientid}"
_OPENS, _CLOSES, _ESCAPE = "${{", "}}", "\u00a7"


def emulate_ese(realm: Realm, principal: Principal, request: Request) -> bool:
    """What HiveMQ Enterprise answers to the principal. Who has no account can not log in."""
    held = _of_ese(realm, principal)
    return held is not None and allows(held, request)


def deliverable_ese(realm: Realm, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether HiveMQ Enterprise delivers a message on `topic` to the principal that asked for `wanted`."""
    held = _of_ese(realm, principal)
    return held is not None and delivers(held, wanted, topic)


def emulate_rbac(realm: Realm, principal: Principal, request: Request) -> bool:
    """What the Community Edition with file RBAC answers to the principal."""
    held = _of_rbac(realm, principal)
    return held is not None and allows(held, request)


def deliverable_rbac(realm: Realm, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether the Community Edition delivers a message on `topic` to the principal that asked for `wanted`."""
    held = _of_rbac(realm, principal)
    return held is not None and delivers(held, wanted, topic)


def allows(permissions: Iterable[Permission], request: Request) -> bool:
    """What the broker answers to who has these permissions; without any of them everything is allowed.

    A message is delivered if some subscription to just its topic would be granted.
    """
    held = tuple(permissions)
    if isinstance(request, Publish):
        return may_publish(held, request.topic, qos=request.qos, retain=request.retain)
    if isinstance(request, Subscribe):
        return may_subscribe(held, request.spelled, qos=request.qos)
    return any(may_subscribe(held, spelled, qos=qos) for spelled in _asked(held, request) for qos in EVERY_QOS)


def delivers(permissions: Iterable[Permission], wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches who asked for `wanted`: deliveries are not judged."""
    return may_subscribe(tuple(permissions), wanted.spelled, qos=wanted.qos) and matches(wanted.topic, topic)


def may_publish(permissions: tuple[Permission, ...], topic: str, *, qos: int, retain: bool) -> bool:
    """Whether a publish passes."""
    unfitting = Retained.NOT_RETAINED if retain else Retained.RETAINED
    return not permissions or any(
        permission.activity is not Activity.SUBSCRIBE
        and permission.retain is not unfitting
        and qos in permission.qos
        and _implied(permission.topic, topic)
        for permission in permissions
    )


def may_subscribe(permissions: tuple[Permission, ...], filter: str, *, qos: int) -> bool:
    """Whether SUBACK grants the filter as it stands in the SUBSCRIBE packet."""
    group: str | None = None
    if filter.startswith("$share/") and filter.count("/") >= 2:
        _, group, filter = filter.split("/", 2)
    unfitting = Sharing.SHARED if group is None else Sharing.NOT_SHARED
    return not permissions or any(
        permission.activity is not Activity.PUBLISH
        and permission.shared is not unfitting
        and (group is None or permission.group in (ANY_GROUP, group))
        and qos in permission.qos
        and _implied(permission.topic, filter)
        for permission in permissions
    )


def _asked(permissions: Iterable[Permission], request: Receive) -> list[str]:
    """The subscriptions to a topic that differ for these permissions."""
    groups = {permission.group for permission in permissions} - {ANY_GROUP} | {"a group that nobody names"}
    return [request.topic, *(f"$share/{group}/{request.topic}" for group in sorted(groups))]


def _implied(permission: str, asked: str) -> bool:
    """Whether the topic of a permission meets a topic name, or a filter taken for one."""
    stripped = permission.rstrip("/")
    if "#" not in stripped and "+" not in stripped:
        return stripped == (asked.rstrip("/") if len(asked) > 1 else asked)
    if "#" in stripped and not stripped.endswith("/#") and len(stripped) > 1:
        return False
    ours, theirs = stripped.split("/"), asked.split("/")
    for our, their in zip(ours, theirs, strict=False):
        if our in {their, "+"}:
            continue
        return our == "#"
    return len(ours) == len(theirs) or (len(ours) - len(theirs) == 1 and ours[-1] == "#")


def _of_ese(realm: Realm, principal: Principal) -> list[Permission] | None:
    """What a connection may; None if it is refused.

    The client id goes into topics as it is, wildcards and all: ESE's own way with it is unknown, this is the worst.
    """
    if principal.auth_id not in realm.users:
        return None
    held = realm.permissions_of(principal.auth_id)
    return [replace(each, topic=each.topic.replace(CLIENT_ID, principal.client_id)) for each in held]


def _of_rbac(realm: Realm, principal: Principal) -> list[Permission] | None:
    """What a connection to the Community Edition may; None if it is refused."""
    name, client_id = principal.auth_id, principal.client_id
    if name not in realm.users or any(character in name + client_id for character in "+#"):
        return None
    values = {"clientid": client_id, "username": name}
    held = [replace(each, topic=_substituted(each.topic, values)) for each in realm.permissions_of(name)]
    if not all(_can_be_built(each.topic) for each in held):
        return None
    return held or [NOTHING]  # the extension sets the default to deny


def _can_be_built(topic: str) -> bool:
    try:
        valid_filter(topic)
    except InvalidTopic:
        return False
    return not topic.startswith("$share/")


def _substituted(topic: str, values: Mapping[str, str], within: frozenset[str] = frozenset()) -> str:
    """As Apache's StringSubstitutor does: an escape before a variable goes and keeps it, values are looked through.

    A value that comes to itself is an error there: NUL stands for that here.
    """
    done, rest = "", topic
    while (start := rest.find(_OPENS)) >= 0 and (end := rest.find(_CLOSES, start + len(_OPENS))) >= 0:
        before, after = done + rest[:start], rest[end + len(_CLOSES) :]
        if before.endswith(_ESCAPE):
            done, rest = before[:-1] + _OPENS, rest[start + len(_OPENS) :]
            continue
        key, default, otherwise = rest[start + len(_OPENS) : end].partition(":-")
        name = key.lower()
        if name in within:
            return "\0"
        value = values.get(name, otherwise if default and _OPENS not in key else None)
        spelled = rest[start : end + len(_CLOSES)]
        done = before + (spelled if value is None else _substituted(value, values, within | {name}))
        rest = after
    return done + rest
