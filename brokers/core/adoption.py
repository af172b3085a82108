"""What a broker holds beyond the policy, or short of it, said as rules that single devices have alone.

Whether these rules say just that is for the caller to try: `left_by` compares what was and what would still differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from acl.core.own_rules import own_role_name
from acl.core.rules import InvalidRole, RuleSpec, check_role
from acl.core.topics import MAX_OCTETS
from acl.core.values import EVERY_QOS, Action, Publish, Request, Retain, Subscribe
from acl.core.values import Effect as RuleEffect
from brokers.core.kept_text import spelled
from brokers.core.ports import Effect, EffectLine

ODD = "Rules of its own would say more or less than that: correct it on the broker, or change a role by hand."
UNTOLD = "No rule of ours says what the broker allows there."


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOver:
    """A difference that is not adopted, and why; `has`: the broker allows it, and the policy does not."""

    auth_id: str
    action: str
    filter: str
    has: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoptee:
    """A device that rules may be adopted for: its name, and the rules that it has alone now."""

    name: str
    own: tuple[RuleSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRules:
    """What the device of that auth id should have alone from then on, and the differences that this is for."""

    auth_id: str
    name: str
    rules: tuple[RuleSpec, ...]
    lines: tuple[EffectLine, ...]


Judge = Callable[[str, Request], bool | None]
"""Whether the broker allows it to that auth id, with what it holds; None if nobody can tell."""


def own_rules_of(
    effect: Effect, *, adoptees: Mapping[str, Adoptee], why_not: Mapping[str, str], judge: Judge
) -> tuple[list[OwnRules], list[LeftOver]]:
    """The rules by which the policy would say what the broker holds, and what can not be told so.

    `effect` is that of correcting the broker: what a device would lose it is allowed, what it would gain it is denied.
    `why_not` says of auth ids that are no adoptees what they are.
    """
    left: list[LeftOver] = []
    found: list[OwnRules] = []
    lost = set(effect.lose)
    by_device: dict[str, list[EffectLine]] = defaultdict(list)
    for line in (*effect.lose, *effect.gain):
        by_device[line.auth_id].append(line)
    for auth_id, lines in sorted(by_device.items()):
        adoptee = adoptees.get(auth_id)
        if adoptee is None:
            why = why_not.get(auth_id, "No device has this name.")
            left += [_left(line, has=line in lost, why=why) for line in lines]
            continue
        rules, told = list(adoptee.own), []
        for line in lines:
            why = _add(rules, line, has=line in lost, judge=judge)
            if why:
                left.append(_left(line, has=line in lost, why=why))
            else:
                told.append(line)
        try:
            check_role(name=own_role_name(adoptee.name), rules=rules)
        except InvalidRole as error:
            left += [_left(line, has=line in lost, why=error.errors[0].detail) for line in told]
        else:
            if told:
                found.append(OwnRules(auth_id=auth_id, name=adoptee.name, rules=tuple(rules), lines=tuple(told)))
    return found, left


def left_by(before: Effect, after: Effect, tried: Iterable[OwnRules]) -> Iterator[LeftOver]:
    """What those among the tried can not say: all of a device of which something still differs, or something new."""
    known = {*before.lose, *before.gain}
    lost = set(before.lose)
    differ = {*after.lose, *after.gain}
    for one in tried:
        still = {line for line in differ if line.auth_id == one.auth_id}
        if after.bounded or still & set(one.lines) or still - known:
            yield from (_left(line, has=line in lost, why=ODD) for line in one.lines)


def _add(rules: list[RuleSpec], line: EffectLine, *, has: bool, judge: Judge) -> str:
    """Nothing, if the rules say it now; else why they can not."""
    if "${" in line.filter:
        return "It would be read as a placeholder."
    conditions = _conditions(line, judge)
    if conditions is None or (conditions == _NEVER) is has:
        return UNTOLD
    wanted, opposite = _rule(line, RuleEffect.DENY), _rule(line, RuleEffect.ALLOW)
    if has:
        wanted, opposite = _rule(line, RuleEffect.ALLOW, *conditions), wanted
    if opposite in rules:
        rules.remove(opposite)
        return ""
    if wanted not in rules:
        rules.append(wanted)
    return ""


def _rule(
    line: EffectLine, effect: RuleEffect, qos: frozenset[int] = EVERY_QOS, retain: Retain = Retain.ANY
) -> RuleSpec:
    actions = frozenset({Action(line.action)})
    return RuleSpec(effect=effect, actions=actions, topic=line.filter, qos=qos, retain=retain)


_Conditions = tuple[frozenset[int], Retain]
_NEVER: _Conditions = frozenset(), Retain.ANY
_RETAINS = {frozenset({True}): Retain.ONLY, frozenset({False}): Retain.NEVER, frozenset({True, False}): Retain.ANY}


def _conditions(line: EffectLine, judge: Judge) -> _Conditions | None:
    """Under which conditions the broker allows it, perhaps never; None if no rule can say which, or nobody can tell."""
    flags = (False, True) if Action(line.action) is Action.PUBLISH else (False,)
    judged = {
        (qos, flag): judge(line.auth_id, _request(line, qos=qos, retain=flag))
        for qos, flag in product(EVERY_QOS, flags)
    }
    passed = {each for each, allowed in judged.items() if allowed}
    if None in judged.values() or passed != set(product(*_sides(passed))):
        return None
    levels, retained = _sides(passed)
    return (levels, Retain.ANY if len(flags) == 1 else _RETAINS[retained]) if passed else _NEVER


def _sides(passed: Collection[tuple[int, bool]]) -> tuple[frozenset[int], frozenset[bool]]:
    return frozenset(qos for qos, _ in passed), frozenset(flag for _, flag in passed)


def _request(line: EffectLine, *, qos: int, retain: bool) -> Request:
    if Action(line.action) is Action.SUBSCRIBE:
        return Subscribe(topic=line.filter, qos=qos)
    return Publish(topic=_some_topic(line.filter), qos=qos, retain=retain)


def _some_topic(filter: str) -> str:
    """A topic name that falls under the filter, and hardly under one that says less."""
    return "/".join({"+": "gh-any", "#": "gh-any/gh-any"}.get(level, level) for level in filter.split("/"))


def _left(line: EffectLine, *, has: bool, why: str) -> LeftOver:
    name, filter = spelled(line.auth_id), spelled(line.filter, most=MAX_OCTETS)
    return LeftOver(auth_id=name, action=line.action, filter=filter, has=has, why=why)


def without(found: Sequence[OwnRules], left: Iterable[LeftOver]) -> list[OwnRules]:
    """Those of which nothing is left over."""
    gone = {each.auth_id for each in left}
    return [one for one in found if one.auth_id not in gone]
