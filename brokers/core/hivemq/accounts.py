"""Permissions of many accounts at the cost of few: rules are said once with marks for values, and those put in.

Where the broker can put the account's name in, accounts share what is said with it. What is said with marks holds for
every account whose values are just other levels to the rules; the others are said one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from acl.core.templates import placeholders
from acl.core.values import BoundRule, Principal
from brokers.core.hivemq.dialect import ESCAPE, Dialect
from brokers.core.hivemq.marks import (
    MARK,
    OF_ALL,
    Marks,
    Needs,
    Taken,
    all_marked,
    is_marked,
    may_have_marks,
    name_marked,
    needs,
)
from brokers.core.hivemq.permissions import Activity, Permission
from brokers.core.hivemq.rules import Loss, Said, say
from brokers.core.ports import RenderSubject
from brokers.core.rendering import Deviations

_MOST_KEPT = 16_384  # policies and outlines together
# What is another for each device; other placeholders (attributes, the organisation of a certificate) many have alike.
_PERSONAL = frozenset({"client_id", "username", "auth_id", "cert.cn", "cert.serial", "cert.san_uri", "cert.san_dns"})

Shared = tuple[tuple[str, frozenset[Permission]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What an account holds: sets of permissions that others may hold as well, each with its role, and its own."""

    shared: Shared
    own: frozenset[Permission]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """What rules come to. `alike` has no marks; `marked` and `spelled` are the levels of all filters."""

    alike: Shared
    shared: Shared
    own: frozenset[Permission]
    losses: tuple[Loss, ...]
    marked: tuple[str, ...]
    spelled: frozenset[str]

    def filled(self, meaning: Mapping[int, str]) -> Holding:
        """What it is with the values in place of the marks."""
        shared = tuple((role, _put_in(held, meaning)) for role, held in self.shared)
        return Holding(shared=self.alike + shared, own=_put_in(self.own, meaning))


@dataclass(slots=True, kw_only=True)
class _Known:
    """A policy, and its outlines by the texts that were put in. It keeps its rules alive, so their ids are its own."""

    policy: Sequence[BoundRule]
    needs: Needs
    outlines: dict[object, _Outline] = field(default_factory=dict)


class Accounts:
    """Says what accounts hold; what was said with marks is kept for the next account like it."""

    def __init__(self, dialect: Dialect, deviations: Deviations) -> None:
        self._dialect = dialect
        self._deviations = deviations
        self._known: dict[object, _Known] = {}
        self._kept = 0

    def holding(self, subject: RenderSubject) -> Holding:
        """What the account holds, its deviations noted."""
        name, known = subject.principal.auth_id, self._policy(subject.policy)
        taken = known.needs.taken(subject.principal)
        outline, meaning = self._outline(known, subject.principal, taken)
        for loss in outline.losses:
            self._deviations.note(loss.bound, name, loss.kind, loss.why)
        return outline.filled(meaning)

    def _policy(self, policy: Sequence[BoundRule]) -> _Known:
        key = tuple((id(bound.rule), bound.role_name) for bound in policy)
        if key not in self._known:
            self._make_room()
            self._known[key] = _Known(policy=policy, needs=needs(policy))
        return self._known[key]

    def _outline(self, known: _Known, principal: Principal, taken: Taken) -> tuple[_Outline, Mapping[int, str]]:
        """What holds for the principal, and what the marks in it stand for; nothing if there are none."""
        name = principal.auth_id
        if may_have_marks(name, taken, known.needs.room):
            variable = self._variable(principal)
            for marks in (all_marked(name, taken), name_marked(name, taken)):
                outline = self._with_marks(known, principal, marks, variable)
                if marks.tell_apart(outline.marked, outline.spelled):
                    return outline, marks.meaning
        return self._outlined(say(known.policy, principal, self._dialect), frozenset(), ""), {}

    def _with_marks(self, known: _Known, principal: Principal, marks: Marks, variable: str) -> _Outline:
        """The outline that all have whose texts are these."""
        key = marks.texts, variable
        if key not in known.outlines:
            self._make_room()
            said = say(known.policy, marks.put_in(principal), self._dialect)
            naming = frozenset(each for each, text in marks.texts if text == MARK)
            known.outlines[key] = self._outlined(said, naming, variable)
        return known.outlines[key]

    def _make_room(self) -> None:
        """Forgets all if there are too many: then they are said anew."""
        if self._kept >= _MOST_KEPT:
            self._known.clear()
            self._kept = 0
        self._kept += 1

    def _outlined(self, said: Said, naming: frozenset[str], variable: str) -> _Outline:
        """What was said by who shares it. `naming` are the placeholders for which the broker can put in `variable`."""
        shared: dict[tuple[str, bool], set[Permission]] = defaultdict(set)
        own: set[Permission] = set()
        for granted in said.granted:
            permission, names = granted.permission, frozenset(placeholders(granted.bound.rule.topic)) - OF_ALL
            if variable and self._can_vary(permission.topic):
                permission = replace(permission, topic=permission.topic.replace(MARK, variable))
                names -= naming
            if names & _PERSONAL:
                own.add(permission)
            else:
                shared[granted.bound.role_name, bool(names)].add(permission)
        ordered = [(role, merged(shared[role, many])) for role, many in sorted(shared)]
        filling = [any(is_marked(permission.topic) for permission in held) for _, held in ordered]
        marked = tuple(filter(is_marked, said.levels))
        return _Outline(
            alike=tuple(each for each, fills in zip(ordered, filling, strict=True) if not fills),
            shared=tuple(each for each, fills in zip(ordered, filling, strict=True) if fills),
            own=merged(own),
            losses=said.losses,
            marked=marked,
            spelled=said.levels.difference(marked),
        )

    def _variable(self, principal: Principal) -> str:
        """How the broker spells the account's name; empty if it can not put that in for this principal."""
        chosen = self._dialect.by_client_id and principal.client_id != principal.auth_id
        return "" if chosen else self._dialect.variable

    def _can_vary(self, topic: str) -> bool:
        """Whether the variable may stand where the mark does."""
        in_part = any(MARK in level and level != MARK for level in topic.split("/"))
        return (self._dialect.in_parts or not in_part) and ESCAPE + MARK not in topic


def _put_in(held: frozenset[Permission], meaning: Mapping[int, str]) -> frozenset[Permission]:
    return frozenset(
        Permission(
            topic=permission.topic.translate(meaning),
            activity=permission.activity,
            qos=permission.qos,
            retain=permission.retain,
            shared=permission.shared,
            group=permission.group,
        )
        for permission in held
    )


def merged(held: Iterable[Permission]) -> frozenset[Permission]:
    """The same permissions, where one can say publish and subscribe in one."""
    found = set(held)
    for permission in [each for each in found if each.activity is Activity.PUBLISH]:
        twin = replace(permission, activity=Activity.SUBSCRIBE)
        if twin in found:
            found -= {permission, twin}
            found.add(replace(permission, activity=Activity.ALL))
    return frozenset(found)
