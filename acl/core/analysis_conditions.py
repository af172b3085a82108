"""Conditions on a device, as values: what it takes for a rule with placeholders to apply to what is asked.

A condition is decided for one principal by `holds`, or for a whole fleet by a database. It must not know of either.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from acl.core.templates import Part, fault_of, value_of
from acl.core.values import Principal, RoleId

Parts = tuple[Part, ...]  # literal texts, and placeholders as one-tuples


@dataclass(frozen=True, slots=True)
class Same:
    """The two levels, with the device's values, are the same text."""

    left: Parts
    right: Parts


@dataclass(frozen=True, slots=True)
class Safe:
    """The device has a safe value for the placeholder; `leads` where it begins a topic."""

    placeholder: str
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """The device has at least one of the roles."""

    roles: frozenset[RoleId]


@dataclass(frozen=True, slots=True)
class Every:
    """All of the conditions apply; with none of them, always."""

    of: frozenset[Condition]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the conditions applies; with none of them, never."""

    of: frozenset[Condition]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not apply."""

    of: Condition


Condition = Same | Safe | Held | Every | Some | Not
ALWAYS = Every(frozenset())
NEVER = Some(frozenset())


def every(*conditions: Condition) -> Condition:
    """That all of them apply, as short as it is easily said."""
    found: set[Condition] = set()
    for condition in conditions:
        found |= condition.of if isinstance(condition, Every) else {condition}
    equations = {one.left: one.right for one in found if isinstance(one, Same)}
    found = {one for one in found if not (isinstance(one, Safe) and _is_plain(one, equations))}
    barred = {role for one in found if isinstance(one, Not) and isinstance(one.of, Held) for role in one.of.roles}
    found = {_held(one.roles - barred) if isinstance(one, Held) else one for one in found}
    if NEVER in found or any(negated(condition) in found for condition in found if isinstance(condition, Not)):
        return NEVER
    return next(iter(found)) if len(found) == 1 else Every(frozenset(found))


def some(*conditions: Condition) -> Condition:
    """That at least one of them applies; roles with the same further condition are taken together."""
    found: set[Condition] = set()
    for condition in conditions:
        found |= condition.of if isinstance(condition, Some) else {condition}
    if ALWAYS in found:
        return ALWAYS
    merged = _merged(found)
    short = _not_implied(merged)
    return next(iter(short)) if len(short) == 1 else Some(frozenset(short))


def negated(condition: Condition) -> Condition:
    """That it does not apply."""
    if isinstance(condition, Not):
        return condition.of
    if condition == ALWAYS:
        return NEVER
    return ALWAYS if condition == NEVER else Not(condition)


def _held(roles: frozenset[RoleId]) -> Condition:
    return Held(roles) if roles else NEVER


def _is_plain(safe: Safe, equations: Mapping[Parts, Parts]) -> bool:
    """Whether the value is spelled anyway, and safe."""
    match equations.get(((safe.placeholder,),)):
        case (str(text),):
            return not fault_of(text, leads=safe.leads)
    return False


def _not_implied(conditions: Collection[Condition]) -> set[Condition]:
    """Those of which it is not plain to see that another applies wherever they do."""
    common = Counter(member for each in conditions if isinstance(each, Every) for member in each.of)
    by_rarest: dict[Condition, list[Every]] = defaultdict(list)
    for each in conditions:
        if isinstance(each, Every):
            by_rarest[min(each.of, key=lambda member: common[member])].append(each)
    alone = {each for each in conditions if not isinstance(each, Every)}
    return alone | {
        each
        for each in conditions
        if isinstance(each, Every)
        and alone.isdisjoint(each.of)
        and not any(lax.of < each.of for member in each.of for lax in by_rarest.get(member, ()))
    }


def _merged(conditions: Iterable[Condition]) -> set[Condition]:
    by_rest: dict[frozenset[Condition], set[RoleId]] = defaultdict(set)
    others: set[Condition] = set()
    for condition in conditions:
        members = condition.of if isinstance(condition, Every) else frozenset({condition})
        held = [member for member in members if isinstance(member, Held)]
        if len(held) == 1:
            by_rest[members - {held[0]}] |= held[0].roles
        else:
            others.add(condition)
    return others | {every(Held(frozenset(roles)), *rest) for rest, roles in by_rest.items()}


def holds(condition: Condition, principal: Principal, roles: Collection[RoleId] = ()) -> bool:
    """Whether the condition applies to the principal, who has those roles."""
    match condition:
        case Same(left, right):
            return _text(left, principal) == _text(right, principal)
        case Safe(placeholder, leads):
            return not fault_of(value_of(placeholder, principal), leads=leads)
        case Held(wanted):
            return not wanted.isdisjoint(roles)
        case Every(of):
            return all(holds(one, principal, roles) for one in of)
        case Some(of):
            return any(holds(one, principal, roles) for one in of)
        case Not(of):
            return not holds(of, principal, roles)


def size_of(condition: Condition) -> int:
    """How many single conditions it is made of, which is what it costs to ask a database."""
    match condition:
        case Every(of) | Some(of):
            return 1 + sum(map(size_of, of))
        case Not(of):
            return size_of(of)
        case _:
            return 1


def without_roles(condition: Condition, held: Collection[RoleId]) -> Condition:
    """What the condition comes to for devices who have just these roles."""
    match condition:
        case Held(wanted):
            return NEVER if wanted.isdisjoint(held) else ALWAYS
        case Every(of):
            return every(*(without_roles(one, held) for one in of))
        case Some(of):
            return some(*(without_roles(one, held) for one in of))
        case Not(of):
            return negated(without_roles(of, held))
        case _:
            return condition


def _text(parts: Parts, principal: Principal) -> str:
    return "".join(part if isinstance(part, str) else value_of(part[0], principal) for part in parts)
