"""Whether a foreign policy that was imported allows anything that its source does not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from acl.core.evaluation import evaluate
from acl.core.topics import matches
from acl.core.values import Allow, BoundRule, Principal, Publish, Receive, Request, RuleId, Subscribe
from brokers.core.foreign.outcome import ForeignPolicy

PUMP = Principal(id="1", auth_id="pump", client_id="pump", username="pump", domain="north")
VALVE = Principal(id="2", auth_id="v1", client_id="v1", username="v1", domain="north")
OTHER = Principal(id="3", auth_id="b", client_id="b", username="b", domain="north")
CAST = (PUMP, VALVE, OTHER)
LEVELS = ("a", "a", "b", "pump", "v1", "", "$SYS", "$x")


def held(foreign: ForeignPolicy, principal: Principal) -> tuple[BoundRule, ...]:
    """The rules that the principal would have."""
    roles = {role.name: role for role in foreign.roles}
    bound = dict.fromkeys(
        each.role
        for each in foreign.bindings
        if (each.auth_id, each.client_id) == (None, None)
        or each.auth_id == principal.auth_id
        or each.client_id == principal.client_id
    )
    rules = [(rule, name) for name in bound for rule in roles[name].rules]
    return tuple(
        BoundRule(rule=rule.with_id(RuleId(UUID(int=number))), role_name=name)
        for number, (rule, name) in enumerate(rules)
    )


def filter_of(roll: random.Random, levels: Iterable[str] = LEVELS, *, first: Iterable[str] = ()) -> str:
    """A filter of one to four levels."""
    known = tuple(levels)
    found = [roll.choice((*known, "+", "+")) for _ in range(roll.randint(1, 4))]
    if first and roll.random() < 0.5:
        found[0] = roll.choice(tuple(first))
    if roll.random() < 0.4:
        found[-1] = "#"
    return "/".join(found) or "+"


def requests(roll: random.Random, filters: Iterable[str], count: int) -> Iterator[Request]:
    """Requests near those filters."""
    known = tuple(filters) or ("a",)
    for _ in range(count):
        near = roll.choice(known) if roll.random() < 0.8 else filter_of(roll)
        kind = roll.randrange(3)
        if kind == 0:
            levels = [
                roll.choice(LEVELS) if level == "+" and roll.random() < 0.5 else level for level in near.split("/")
            ]
            group = roll.choice(["g", "h"]) if roll.random() < 0.3 else None
            yield Subscribe(topic="/".join(levels) or "a", qos=roll.randint(0, 2), group=group)
            continue
        levels = [roll.choice(LEVELS) if level in {"+", "#"} else level for level in near.split("/")]
        name = "/".join(levels) or "a"
        yield (
            Publish(topic=name, qos=roll.randint(0, 2), retain=roll.random() < 0.3)
            if kind == 1
            else Receive(topic=name)
        )


def names_under(roll: random.Random, filter: str) -> Iterator[str]:
    """Some topic names under the filter."""
    for _ in range(4):
        levels = filter.split("/")
        if levels[-1] == "#":
            levels[-1:] = [roll.choice(LEVELS) for _ in range(roll.randint(0, 2))]
        name = "/".join(roll.choice(LEVELS) if level == "+" else level for level in levels)
        if name and matches(filter, name):
            yield name


@dataclass
class Judged:
    """How many requests the import allows, and those of them that the source does not, each with a topic."""

    allowed: int = 0
    wider: list[tuple[Request, str]] = field(default_factory=list)


def judge(
    foreign: ForeignPolicy,
    principal: Principal,
    asked: Iterable[Request],
    *,
    source: Callable[[Request], bool],
    delivers: Callable[[Subscribe, str], bool],
    roll: random.Random,
) -> Judged:
    """The import beside its source, for one principal. A subscription is judged by what it delivers."""
    policy, found = held(foreign, principal), Judged()
    for request in asked:
        if not isinstance(evaluate(policy, principal, request), Allow):
            continue
        found.allowed += 1
        if isinstance(request, Subscribe):
            names = names_under(roll, request.topic)
            found.wider += [(request, name) for name in names if not delivers(request, name)]
        elif not source(request):
            found.wider.append((request, request.topic))
    return found
