"""Rules and principals that the tests of EMQX and NanoMQ share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from acl.core.values import Action, BoundRule, Effect, Principal, Rule, RuleId
from brokers.core.ports import Rendering, RenderSubject, Standing

PUMP = Principal(id="1", auth_id="pump", client_id="pump-7", username="pump", domain="north")
PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def bound(effect: str, topic: str, **conditions: Any) -> BoundRule:
    facts = {"actions": SUBSCRIBE, **conditions}
    named = RuleId(uuid5(NAMESPACE_OID, f"{effect}{topic}{sorted(map(str, facts.items()))}"))
    return BoundRule(rule=Rule(id=named, effect=Effect(effect), topic=topic, **facts), role_name="pump")


def admitted(*policy: BoundRule, **facts: Any) -> RenderSubject:
    return RenderSubject(principal=replace(PUMP, **facts), policy=policy, state=Standing.ADMITTED)


def barred(**facts: Any) -> RenderSubject:
    return RenderSubject(principal=replace(PUMP, **facts), policy=(), state=Standing.BARRED)


def told(rendering: Rendering) -> list[tuple[str, str]]:
    """The topic and the kind of each deviation."""
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in rendering.deviations]
