"""Permissions of many accounts at the cost of few: rules are said once with a mark for the account's name.

What is said with the mark holds for every account whose name is just another level to the rules; the others are said
one by one. Where the broker can put the name in, accounts then share what is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from acl.core.templates import placeholders
from acl.core.topics import MAX_OCTETS
from acl.core.values import BoundRule, Principal, Rule
from brokers.core.hivemq_dialect import ESCAPE, Dialect, is_text
from brokers.core.hivemq_permissions import Activity, Permission
from brokers.core.hivemq_rules import Said, say
from brokers.core.ports import RenderSubject
from brokers.core.rendering import Deviations

MARK = "\ue000"  # stands for the name of the account
_MOST_KEPT = 4096
_MOST_OCTETS = 256  # of a name that the mark may stand for
# What is another for each device; other placeholders (attributes, the organisation of a certificate) many have alike.
_PERSONAL = frozenset({"client_id", "username", "auth_id", "cert.cn", "cert.serial", "cert.san_uri", "cert.san_dns"})
_NAMING = frozenset({"client_id", "username", "auth_id", "cert.cn"})  # may be the account's name
_OF_ALL = frozenset({"domain", "device_type"})

Taken = tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What an account holds: sets of permissions that others may hold as well, each with its role, and its own."""

    shared: tuple[tuple[str, frozenset[Permission]], ...]
    own: frozenset[Permission]


class Accounts:
    """Says what accounts hold; what was said with the mark is kept for the next account like it."""

    def __init__(self, dialect: Dialect, deviations: Deviations) -> None:
        self._dialect = dialect
        self._deviations = deviations
        self._kept: dict[object, Said] = {}

    def holding(self, subject: RenderSubject) -> Holding:
        """What the account holds, its deviations noted."""
        name, taken = subject.principal.auth_id, _taken(subject.policy, subject.principal)
        said = self._with_mark(subject, taken)
        marked = _is_level(name, said.levels) and not _may_differ(subject.policy, taken)
        if not marked:
            said = say(subject.policy, subject.principal, self._dialect)
        for loss in said.losses:
            self._deviations.note(loss.bound, name, loss.kind, loss.why)
        variable = self._variable(subject.principal) if marked else ""
        naming = {each for each, value in taken if each in _NAMING and value == name}
        shared: dict[tuple[str, bool], set[Permission]] = defaultdict(set)
        own: set[Permission] = set()
        for granted in said.granted:
            permission, names = granted.permission, _placeholders(granted.bound.rule) - _OF_ALL
            if variable and self._can_vary(permission.topic):
                permission = replace(permission, topic=permission.topic.replace(MARK, variable))
                names -= naming
            elif marked:
                permission = replace(permission, topic=permission.topic.replace(MARK, name))
            if names & _PERSONAL:
                own.add(permission)
            else:
                shared[granted.bound.role_name, bool(names)].add(permission)
        return Holding(
            shared=tuple((role, merged(shared[role, many])) for role, many in sorted(shared)), own=merged(own)
        )

    def _with_mark(self, subject: RenderSubject, taken: Taken) -> Said:
        """What the policy comes to with the mark for the account's name."""
        name = subject.principal.auth_id
        values = tuple((each, MARK if each in _NAMING and value == name else value) for each, value in taken)
        key = tuple((bound.rule, bound.role_name) for bound in subject.policy), values
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = say(subject.policy, _marked(subject.principal), self._dialect)
        return self._kept[key]

    def _variable(self, principal: Principal) -> str:
        """How the broker spells the account's name; empty if it can not put that in for this principal."""
        chosen = self._dialect.by_client_id and principal.client_id != principal.auth_id
        return "" if chosen else self._dialect.variable

    def _can_vary(self, topic: str) -> bool:
        """Whether the variable may stand where the mark does."""
        in_part = any(MARK in level and level != MARK for level in topic.split("/"))
        return (self._dialect.in_parts or not in_part) and ESCAPE + MARK not in topic


def merged(held: Iterable[Permission]) -> frozenset[Permission]:
    """The same permissions, where one can say publish and subscribe in one."""
    found = set(held)
    for permission in list(found):
        twin = replace(permission, activity=Activity.SUBSCRIBE)
        if permission.activity is Activity.PUBLISH and twin in found:
            found -= {permission, twin}
            found.add(replace(permission, activity=Activity.ALL))
    return frozenset(found)


def _is_level(name: str, levels: frozenset[str]) -> bool:
    """Whether the mark may stand for the name: nothing in it has a meaning, and no level becomes another one by it."""
    if len(name.encode(errors="replace")) > _MOST_OCTETS or not is_text(name):
        return False
    if name != name.strip() or any(character in f"+#/${{}}{ESCAPE}" for character in name):
        return False
    marked = {level for level in levels if MARK in level}
    filled = {level.replace(MARK, name) for level in marked}
    return bool(name) and len(filled) == len(marked) and filled.isdisjoint(levels)


def _marked(principal: Principal) -> Principal:
    """The principal with the mark in place of its account's name, wherever a template may take that from."""
    name = principal.auth_id
    certificate = principal.certificate
    if certificate and certificate.cn == name:
        certificate = replace(certificate, cn=MARK)
    return replace(
        principal,
        auth_id=MARK,
        client_id=MARK if principal.client_id == name else principal.client_id,
        username=MARK if principal.username == name else principal.username,
        certificate=certificate,
    )


def _placeholders(rule: Rule) -> frozenset[str]:
    return frozenset(placeholders(rule.topic))


def _taken(policy: Sequence[BoundRule], principal: Principal) -> Taken:
    """All that the rules take from the principal, by placeholder."""
    names = sorted({name for bound in policy for name in placeholders(bound.rule.topic)})
    return tuple((name, _value(name, principal)) for name in names)


def _value(placeholder: str, principal: Principal) -> object:
    """What a template takes there, as the text that it comes to; None if there is nothing."""
    kind, _, name = placeholder.partition(".")
    if kind == "attr":
        value = principal.attributes.get(name)
        return None if value is None else f"{type(value).__name__} {value}"
    if kind == "cert":
        return getattr(principal.certificate, name, None)
    return getattr(principal, placeholder)


def _may_differ(policy: Sequence[BoundRule], taken: Taken) -> bool:
    """Whether the mark is in the policy itself or in a value, or a filter may be too long with the name or the mark."""
    values = [str(value) for _, value in taken]
    if any(MARK in text for text in values):
        return True
    most = max([_MOST_OCTETS, *(len(text.encode(errors="replace")) for text in values)])
    topics = [bound.rule.topic for bound in policy]
    return any(MARK in text or 4 * len(text) + text.count("${") * most > MAX_OCTETS for text in topics)
