"""Principals with policy, made without a database."""

from __future__ import annotations

from uuid import uuid5

from acl.core.values import Action, BoundRule, Effect, Principal, Rule, RuleId
from brokers.core.ports import RenderSubject, Standing
from tests.cast import NORTH

PUBLISH = frozenset({Action.PUBLISH})
SUBSCRIBE = frozenset({Action.SUBSCRIBE})


def rule(effect: str, actions: frozenset[Action], topic: str, *, role: str = "pump") -> BoundRule:
    """A rule whose id follows from what it says."""
    known = RuleId(uuid5(NORTH, f"{role}|{effect}|{sorted(actions)}|{topic}"))
    return BoundRule(rule=Rule(id=known, effect=Effect(effect), actions=actions, topic=topic), role_name=role)


def subject(name: str, *policy: BoundRule, standing: Standing = Standing.ADMITTED) -> RenderSubject:
    """A device of that name."""
    principal = Principal(
        id=str(uuid5(NORTH, name)), auth_id=name, client_id=name, username=name, domain="north", device_type="pump"
    )
    return RenderSubject(principal=principal, policy=policy, state=standing)


UP = rule("allow", PUBLISH, "${domain}/${client_id}/up/#")
DOWN = rule("allow", SUBSCRIBE, "${domain}/${client_id}/down/#")
ALL = rule("allow", SUBSCRIBE, "${domain}/all/#")
