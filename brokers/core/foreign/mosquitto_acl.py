"""Mosquitto's ACL file as roles: one for each user, and one for the patterns, which every device has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from brokers.core.foreign.meeting import Sourced
from brokers.core.foreign.order import note_overlaps, settled
from brokers.core.foreign.outcome import (
    ForeignBinding,
    ForeignPolicy,
    Loss,
    Notes,
    RoleNames,
    literally,
    roles_holding,
    usable,
)
from brokers.core.mosquitto.acl_file import Access, AclFile, AclLine, parse

PATTERNS = "mosquitto-patterns"
_MARK = re.compile("%[uc]")
_VALUES = {"%u": "${username}", "%c": "${client_id}"}
_ACTIONS = {
    Access.READ: frozenset({Action.SUBSCRIBE}),
    Access.WRITE: frozenset({Action.PUBLISH}),
    Access.READWRITE: frozenset(Action),
    Access.DENY: frozenset(Action),
}


def read_mosquitto_acl(text: str) -> ForeignPolicy:
    """The roles that an ACL file (2.0 or 2.1) comes to. Raises InvalidAclFile."""
    file, notes = parse(text), Notes()
    for line in file.users.get(None, ()):
        why = "It is for clients without a username, and every device has one: nobody gets it."
        notes.add(_place(line), Loss.LEFT_OUT, _source("topic", line), why)
    kept = settled(_in_order(file, notes), notes)
    note_overlaps(kept, notes)
    by_user: dict[str | None, list[RuleSpec]] = defaultdict(list)
    for each in kept:
        by_user[each.who[1] if each.who else None].append(each.rule)
    roles, bindings, names = [], [], RoleNames()
    named = [(user, lines) for user, lines in file.users.items() if user is not None]
    for user, lines in ((None, file.patterns), *named):
        if not (found := by_user[user]):
            continue
        what = f"The lines of user {user}" if user else "The pattern lines"
        described = f"{what} in a Mosquitto ACL file."
        for role in roles_holding(found, name=user or PATTERNS, description=described, names=names):
            roles.append(role)
            bindings.append(ForeignBinding(role=role.name, place=_place(lines[0]), auth_id=user))
    return ForeignPolicy(roles=tuple(roles), bindings=tuple(bindings), notes=notes.all())


def _in_order(file: AclFile, notes: Notes) -> Iterator[Sourced]:
    """As Mosquitto asks them: the user's own before patterns, and in each the denies first."""
    for user, lines in file.users.items():
        if user is not None:
            for line in _denies_first(lines):
                yield from _sourced("topic", line, line.topic, notes, who=("auth_id", user))
    for line in _denies_first(file.patterns):
        topic = _template(line, notes)
        if topic is not None:
            yield from _sourced("pattern", line, topic, notes, who=None)


def _denies_first(lines: Iterable[AclLine]) -> list[AclLine]:
    return sorted(lines, key=lambda line: line.access is not Access.DENY)


def _sourced(word: str, line: AclLine, topic: str, notes: Notes, *, who: tuple[str, str] | None) -> Iterator[Sourced]:
    place, source = _place(line), _source(word, line)
    effect = Effect.DENY if line.access is Access.DENY else Effect.ALLOW
    actions = _ACTIONS[line.access]
    if effect is Effect.ALLOW and topic.startswith(("$SYS", "$CONTROL")) and Action.PUBLISH in actions:
        notes.add(place, Loss.SAME, source, "Mosquitto lets nobody publish there, whatever its ACL file says.")
        actions -= {Action.PUBLISH}
    if not actions:
        return
    spelled = topic if word == "pattern" else literally(topic, effect)
    if spelled is None:
        loss = Loss.LEFT_OUT if effect is Effect.ALLOW else Loss.SAME
        notes.add(place, loss, source, "Here ${ begins a placeholder, and can not be written as it stands.")
        return
    rule = RuleSpec(effect=effect, actions=actions, topic=spelled)
    for usable_rule in usable(rule, place=place, source=source, notes=notes):
        yield Sourced(rule=usable_rule, place=place, source=source, who=who)


def _template(line: AclLine, notes: Notes) -> str | None:
    """The pattern's topic with our placeholders; None if it is left out.

    2.1 takes %u and %c for what they are only where they are a whole level, 2.0 anywhere.
    """
    deny = line.access is Access.DENY
    literal = literally(line.topic, Effect.DENY if deny else Effect.ALLOW)
    source = _source("pattern", line)
    if literal is None:
        loss = Loss.SAME if deny else Loss.LEFT_OUT
        notes.add(_place(line), loss, source, "Here ${ begins a placeholder, and can not be written as it stands.")
        return None
    levels = literal.split("/")
    mixed = [level for level in levels if _MARK.search(level) and not _MARK.fullmatch(level)]
    if not mixed:
        return "/".join(_VALUES.get(level, level) for level in levels)
    what = f"Mosquitto 2.0 puts the name into {mixed[0][:64]}, and 2.1 takes it as it stands"
    if not deny:
        notes.add(_place(line), Loss.LEFT_OUT, source, f"{what}: write the rule that you mean.")
        return None
    notes.add(_place(line), Loss.NARROWER, source, f"{what}: here the deny is about every level there.")
    return "/".join("+" if level in mixed else _VALUES.get(level, level) for level in levels)


def _place(line: AclLine) -> str:
    return f"line {line.number}"


def _source(word: str, line: AclLine) -> str:
    return f"{word} {line.access} {line.topic}"
