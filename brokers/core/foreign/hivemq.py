"""HiveMQ's ESE file realm as roles: one for each of its roles, and one for each user who has permissions besides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Retain, Shared
from brokers.core.foreign.outcome import ForeignBinding, ForeignPolicy, Loss, Notes, RoleNames, roles_holding, usable
from brokers.core.hivemq.emulator import CLIENT_ID
from brokers.core.hivemq.ese_file import read
from brokers.core.hivemq.file import PlacedPermission, Reading
from brokers.core.hivemq.permissions import ANY_GROUP, Activity, Permission, Retained, Sharing

_RETAIN = {Retained.ALL: Retain.ANY, Retained.RETAINED: Retain.ONLY, Retained.NOT_RETAINED: Retain.NEVER}
_PUBLISHES, _SUBSCRIBES = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def read_ese_file(text: str) -> ForeignPolicy:
    """The roles that the part about MQTT comes to. Raises InvalidXml, InvalidRealmFile."""
    reading, notes = read(text), Notes()
    for remark in reading.remarks:
        notes.add(f"line {remark.line}", Loss.LEFT_OUT, remark.path, remark.what)
    rules: dict[tuple[str, str], list[RuleSpec]] = defaultdict(list)
    for placed in reading.permissions:
        rules[placed.owner, placed.name] += _rules(placed, notes)
    names, roles, made = RoleNames(), [], {}
    for name in reading.realm.roles:
        what = f"The role {name} of HiveMQ's file realm."
        made[name] = roles_holding(rules["role", name], name=name, description=what, names=names)
        roles += made[name]
    bindings = []
    for user, account in reading.realm.users.items():
        held = [role for name in account.roles for role in made.get(name, ())]
        if own := rules["user", user]:
            found = roles_holding(own, name=user, description=f"HiveMQ's user {user}.", names=names)
            roles += found
            held += found
        for name in account.roles:
            if name not in made:
                notes.add(
                    _place(reading, user), Loss.LEFT_OUT, name, f"The user {user} has this role, which is not there."
                )
        bindings += [ForeignBinding(role=role.name, place=_place(reading, user), auth_id=user) for role in held]
    return ForeignPolicy(roles=tuple(roles), bindings=tuple(bindings), notes=notes.all())


def _place(reading: Reading, user: str) -> str:
    own = [each.line for each in reading.permissions if (each.owner, each.name) == ("user", user)]
    return f"line {own[0]}" if own else f"user {user[:64]}"


def _rules(placed: PlacedPermission, notes: Notes) -> Iterator[RuleSpec]:
    place, permission = f"line {placed.line}", placed.permission
    topic = _topic(placed, place, notes)
    if topic is None:
        return
    for actions, shared, group in _ways(permission):
        rule = RuleSpec(
            effect=Effect.ALLOW,
            actions=actions,
            topic=topic,
            qos=permission.qos,
            retain=_RETAIN[permission.retain] if Action.PUBLISH in actions else Retain.ANY,
            shared=shared,
            shared_group=group,
        )
        yield from usable(rule, place=place, source=permission.topic, notes=notes)


def _topic(placed: PlacedPermission, place: str, notes: Notes) -> str | None:
    """The topic with our placeholder, as HiveMQ compares it: without slashes at its end."""
    topic = placed.permission.topic
    stripped = topic.rstrip("/")
    if "${" in stripped.replace(CLIENT_ID, ""):
        why = f"Of variables only {CLIENT_ID} is known to be filled in: write the rule that you mean."
        notes.add(place, Loss.LEFT_OUT, topic, why)
        return None
    if not stripped:
        notes.add(place, Loss.LEFT_OUT, topic, "It is about topics of slashes alone.")
        return None
    if stripped != topic:
        notes.add(place, Loss.NARROWER, topic, "HiveMQ strips the slashes at its end, so here it has none.")
    if stripped[0] in "+#":
        notes.add(place, Loss.NARROWER, topic, "There it is about topics that begin with $ as well.")
    return stripped.replace(CLIENT_ID, "${client_id}")


def _ways(permission: Permission) -> Iterator[tuple[frozenset[Action], Shared, str | None]]:
    """The actions, sharing and group of each rule that the permission needs."""
    publishes = _PUBLISHES if permission.activity is not Activity.SUBSCRIBE else frozenset()
    if permission.activity is Activity.PUBLISH:
        yield _PUBLISHES, Shared.ANY, None
        return
    group = None if permission.group == ANY_GROUP else permission.group
    match permission.shared:
        case Sharing.NOT_SHARED:
            yield publishes | _SUBSCRIBES, Shared.NEVER, None
        case Sharing.SHARED:
            yield publishes | _SUBSCRIBES, Shared.ONLY, group
        case _ if group is None:
            yield publishes | _SUBSCRIBES, Shared.ANY, None
        case _:
            yield publishes | _SUBSCRIBES, Shared.NEVER, None
            yield _SUBSCRIBES, Shared.ONLY, group
