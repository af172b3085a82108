"""Policies and requests at random, and whether what a broker does about them is what was declared."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from uuid import UUID

from acl.core.evaluation import evaluate
from acl.core.topics import intersects
from acl.core.values import (
    EVERY_QOS,
    Action,
    Allow,
    BoundRule,
    Deny,
    DenyReason,
    Effect,
    Principal,
    Publish,
    Receive,
    Request,
    Retain,
    Rule,
    RuleId,
    Shared,
    Subscribe,
)
from brokers.core.ports import Deviation, DeviationKind

PUMP = Principal(id="1", auth_id="pump", client_id="pump", username="pump", domain="north")
PLAIN = ("", "a", "a", "b", "b", "c")
ODD = (*PLAIN, "$SYS", "$s", "*", ">", "x.y", "a b", "\u00e9")


@dataclass(frozen=True, kw_only=True)
class Dice:
    """A source of rules and requests; `levels` are those that names and filters are made of."""

    roll: random.Random
    levels: Sequence[str] = ODD

    def name(self) -> str:
        return "/".join(self.roll.choice(self.levels) for _ in range(self.roll.randint(1, 4))) or "a"

    def filter(self) -> str:
        levels = [self.roll.choice((*self.levels, "+", "+", "+")) for _ in range(self.roll.randint(1, 4))]
        if self.roll.random() < 0.4:
            levels[-1] = "#"
        return "/".join(levels) or "+"

    def rule(self, filter: str | None = None) -> BoundRule:
        roll = self.roll
        actions = frozenset(roll.sample([Action.PUBLISH, Action.SUBSCRIBE], roll.randint(1, 2)))
        conditioned = roll.random() < 0.15
        sharing = [(Shared.ANY, None), (Shared.NEVER, None), (Shared.ONLY, None), (Shared.ONLY, "g")]
        shared, group = roll.choice(sharing) if roll.random() < 0.3 and Action.SUBSCRIBE in actions else sharing[0]
        rule = Rule(
            id=RuleId(UUID(int=roll.getrandbits(128))),
            effect=roll.choice([Effect.ALLOW, Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
            actions=actions,
            topic=filter or self.filter(),
            qos=frozenset({roll.randint(0, 2)}) if conditioned else EVERY_QOS,
            retain=roll.choice(list(Retain)) if conditioned and Action.PUBLISH in actions else Retain.ANY,
            shared=shared,
            shared_group=group,
        )
        return BoundRule(rule=rule, role_name=roll.choice(["pump", "valve"]))

    def policy(self) -> tuple[BoundRule, ...]:
        return tuple(self.rule() for _ in range(self.roll.randint(1, 5)))

    def request(self, policy: Sequence[BoundRule]) -> Request:
        """A request, more often than not near one of the rules."""
        near = self.roll.choice(policy).rule.topic if self.roll.random() < 0.6 else self.filter()
        kind = self.roll.randrange(3)
        if kind == 0:
            group = self.roll.choice(["g", "h"]) if self.roll.random() < 0.25 else None
            return Subscribe(topic=self._changed(near), qos=self.roll.randint(0, 2), group=group)
        levels = [self.roll.choice(self.levels) if level in {"+", "#"} else level for level in near.split("/")]
        name = "/".join(levels) or "a"
        if kind == 1:
            return Publish(topic=name, qos=self.roll.randint(0, 2), retain=self.roll.random() < 0.3)
        return Receive(topic=name)

    def _changed(self, filter: str) -> str:
        levels = filter.split("/")
        if self.roll.random() < 0.4:
            levels[-1] = "#"
        if self.roll.random() < 0.3:
            levels[self.roll.randrange(len(levels))] = self.roll.choice((*self.levels, "+"))
        if "#" in levels[:-1]:
            levels = levels[: levels.index("#") + 1]
        return "/".join(levels) or "+"


_CHOICES = (choice for size in (1, 2, 3) for choice in product(("", "a", "b", "c", "$s", "$SYS"), repeat=size))
NAMES = ["/".join(choice) for choice in _CHOICES][1:]


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker that holds a rendering: what it answers, and what it delivers to whom it granted a filter."""

    allows: Callable[[Request], bool]
    delivers: Callable[[Subscribe, str], bool]
    deviations: Sequence[Deviation]
    excuses: Callable[[Request], bool]  # a request that falls under a narrower limit
    together: bool = False  # whether it grants what several rules cover only together


def unexplained(policy: tuple[BoundRule, ...], request: Request, broker: Broker) -> str:
    """What the broker does otherwise than the engine says without having declared it; empty if there is nothing."""
    engine, answer = _permitted(policy, request), broker.allows(request)
    if engine and not answer:
        narrower = _declared(broker, request, DeviationKind.NARROWER) or broker.excuses(request)
        return "" if narrower else f"narrower: {request}"
    if isinstance(request, Subscribe):
        if not answer:
            return ""
        leak = _leak(policy, request, broker)
        if leak:
            return f"wider: {request} brings {leak!r}"
        return "" if engine or _signalled(policy, broker, request) else f"signalling: {request}"
    if answer and not engine:
        return "" if _excused_wider(broker, request.topic) else f"wider: {request}"
    return ""


def _permitted(policy: tuple[BoundRule, ...], request: Request) -> bool:
    return isinstance(evaluate(policy, PUMP, request), Allow)


def _leak(policy: tuple[BoundRule, ...], request: Subscribe, broker: Broker) -> str:
    """A name that is delivered though the policy withholds it, and no deviation says so."""
    for name in NAMES:
        leaks = broker.delivers(request, name) and not _permitted(policy, Receive(topic=name))
        if leaks and not _excused_wider(broker, name):
            return name
    return ""


def _declared(broker: Broker, request: Request, kind: DeviationKind) -> bool:
    action = Action.PUBLISH if isinstance(request, Publish) else Action.SUBSCRIBE
    return any(
        deviation.kind is kind
        and action in deviation.rule.rule.actions
        and intersects(_loosened(deviation.rule.rule.topic), request.topic.lstrip("$") or "x")
        for deviation in broker.deviations
    )


def _signalled(policy: tuple[BoundRule, ...], broker: Broker, request: Subscribe) -> bool:
    verdict = evaluate(policy, PUMP, request)
    together = isinstance(verdict, Deny) and verdict.reason is DenyReason.ONLY_TOGETHER
    wider = _excused_wider(broker, request.topic)
    return (together and broker.together) or wider or _declared(broker, request, DeviationKind.SIGNALLING)


def _excused_wider(broker: Broker, topic: str) -> bool:
    """Wider is only ever declared of rules that begin with a wildcard, on topics that begin with `$`."""
    return topic.startswith("$") and any(deviation.kind is DeviationKind.WIDER for deviation in broker.deviations)


def _loosened(filter: str) -> str:
    """The filter as a broker may have to take it: wilder, and blind to a leading `$`."""
    filter = filter.lstrip("$") or "x"
    return "/".join("+" if level in {"*", ">"} or " " in level else level for level in filter.split("/"))
