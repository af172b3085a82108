"""Many pairs on one target, counted; and of what is not explained the smallest case that still shows it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from acl.core.topics import InvalidTopic, valid_filter, valid_name
from acl.core.values import EVERY_QOS, Receive, Request, Retain, Rule, Shared, Subscribe
from brokers.core.targets import Target
from tests.brokers.core.generated import Asker, Fleet, Member, fleet, told
from tests.brokers.core.judging import Court, Outcome

REQUESTS = 40
"""Asked of each fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One pair: a fleet with the member who asks first, what it asks for, and names that a subscription may bring."""

    fleet: Fleet
    request: Request
    names: tuple[str, ...] = ()

    def fault_on(self, target: Target) -> str:
        """What is not explained about it; an error of the target's is a fault as well."""
        try:
            return Court(target, self.fleet).judge(0, self.request, self.names).fault
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return f"error: {type(error).__name__}: {error}"

    def told(self) -> str:
        """The case in lines; the first member asks."""
        return "\n".join([*told(self.fleet), f"asks: {self.request}", f"names: {self.names}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How many pairs had which outcome, and the first that is not explained."""

    counts: Counter[str]
    first: Case | None = None


def trial(target: Target, *, seed: object, pairs: int, hostile: bool = True) -> Trial:
    """At least `pairs` pairs from that seed: same seed, same pairs."""
    roll = random.Random(f"{seed}")
    counts: Counter[str] = Counter()
    first = None
    while counts.total() < pairs:
        made = fleet(roll, hostile=hostile)
        for case, outcome in _tried(target, made, roll):
            counts[outcome] += 1
            if outcome is Outcome.UNEXPLAINED and first is None:
                first = case
    return Trial(counts=counts, first=first)


def _tried(target: Target, made: Fleet, roll: random.Random) -> Iterator[tuple[Case, Outcome]]:
    asker = Asker(roll=roll, fleet=made)
    court: Court | None = None
    try:
        court = Court(target, made)
    except Exception:  # noqa: BLE001 - the case says it again
        court = None
    for _ in range(REQUESTS):
        number = roll.randrange(len(made.members))
        request = asker.request(made.members[number])
        names = tuple(asker.names(request.topic)) if isinstance(request, Subscribe) else ()
        case = Case(fleet=_first(made, number), request=request, names=names)
        if court is None:
            yield case, Outcome.UNEXPLAINED
            continue
        try:
            yield case, court.judge(number, request, names).outcome
        except Exception:  # noqa: BLE001
            yield case, Outcome.UNEXPLAINED


def _first(made: Fleet, number: int) -> Fleet:
    others = made.members[:number] + made.members[number + 1 :]
    return replace(made, members=(made.members[number], *others))


def shrunk(target: Target, case: Case) -> Case:
    """The smallest case found that shows the same kind of fault."""
    kind = case.fault_on(target).partition(":")[0]
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(case):
            if candidate.fault_on(target).partition(":")[0] == kind:
                case, smaller = candidate, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Cases with a little less in them."""
    members, roles = case.fleet.members, case.fleet.roles
    for number in range(1, len(members)):
        yield replace(case, fleet=replace(case.fleet, members=members[:number] + members[number + 1 :]))
    for number in range(len(members[0].roles)):
        yield _with_roles(case, members[0].roles[:number] + members[0].roles[number + 1 :])
    for number, (name, rules) in enumerate(roles):
        for place, rule in enumerate(rules):
            for less in ((), *((simpler,) for simpler in _simpler(rule))):
                left = (name, (*rules[:place], *less, *rules[place + 1 :]))
                yield replace(case, fleet=replace(case.fleet, roles=(*roles[:number], left, *roles[number + 1 :])))
    for number in range(len(case.names)):
        yield replace(case, names=case.names[:number] + case.names[number + 1 :])
    yield from _plainer(case)


def _with_roles(case: Case, names: Sequence[str]) -> Case:
    first: Member = replace(case.fleet.members[0], roles=tuple(names))
    return replace(case, fleet=replace(case.fleet, members=(first, *case.fleet.members[1:])))


def _simpler(rule: Rule) -> Iterator[Rule]:
    if rule.qos != EVERY_QOS:
        yield replace(rule, qos=EVERY_QOS)
    if rule.retain is not Retain.ANY:
        yield replace(rule, retain=Retain.ANY)
    if rule.shared is not Shared.ANY:
        yield replace(rule, shared=Shared.ANY, shared_group=None)
    for action in sorted(rule.actions)[len(rule.actions) < 2 :]:
        if len(rule.actions) > 1:
            yield replace(rule, actions=rule.actions - {action})
    levels = rule.topic.split("/")
    for number in range(len(levels)):
        if len(levels) > 1 and (shorter := "/".join(levels[:number] + levels[number + 1 :])):
            yield replace(rule, topic=shorter)


def _plainer(case: Case) -> Iterator[Case]:
    """With a request that is shorter, or has no group, or QoS 0; and an asker with fewer attributes."""
    request = case.request
    levels = request.topic.split("/")
    for number in range(len(levels)):
        shorter = "/".join(levels[:number] + levels[number + 1 :])
        try:
            (valid_filter if isinstance(request, Subscribe) else valid_name)(shorter)
        except InvalidTopic:
            continue
        yield replace(case, request=request._replace(topic=shorter), names=(*case.names, shorter))
    if isinstance(request, Subscribe) and request.group is not None:
        yield replace(case, request=request._replace(group=None))
    if not isinstance(request, Receive) and request.qos:
        yield replace(case, request=request._replace(qos=0))
    principal = case.fleet.members[0].principal
    for name in principal.attributes:
        fewer = {other: value for other, value in principal.attributes.items() if other != name}
        first = replace(case.fleet.members[0], principal=replace(principal, attributes=fewer))
        yield replace(case, fleet=replace(case.fleet, members=(first, *case.fleet.members[1:])))
