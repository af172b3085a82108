"""A broker that asks over HTTP at each login and each topic: what it tells of a request, and what that costs a rule.

Nothing is stored there: the rendering is the policy itself, as it holds whenever the broker asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from acl.core.documents import rule_document
from acl.core.values import (
    EVERY_QOS,
    Action,
    Allow,
    BoundRule,
    Effect,
    Principal,
    Publish,
    Request,
    Retain,
    Rule,
    RuleId,
    Shared,
    Subscribe,
)
from brokers.core.decide.decisions import EITHER, Wish, WishKind
from brokers.core.decide.judging import Judged, judge_wish
from brokers.core.decide.rabbitmq import AS_MQTT
from brokers.core.decide.snippets import Dialect
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.registration import unknown_member_errors
from brokers.core.rendering import Deviations
from kernel.core.errors import FieldError

LIMITS = (
    (
        DeviationKind.WIDER,
        "Sessions can not be closed from here: a subscription that was allowed goes on until its session ends.",
    ),
)
"""Of every dialect."""
_LIMITS_OF = {
    Dialect.RABBITMQ: ((DeviationKind.WIDER, "RabbitMQ asks no more what a connection publishes to that never rests."),)
}
_TELLS_CONDITIONS = {Dialect.EMQX, Dialect.VERNEMQ}
_TELLS_GROUPS = {Dialect.VERNEMQ, Dialect.GOAUTH, Dialect.NANOMQ}
_NO_CONDITIONS = "It tells neither QoS nor retain flag: only what is allowed whatever they are is allowed."
_NO_GROUPS = "It does not tell whether a subscription is shared: only what is allowed either way is allowed."


def connection_errors(connection: object) -> list[FieldError]:
    """What is wrong with the members of a connection: the dialect is all there is."""
    members = connection if isinstance(connection, Mapping) else {}
    errors = unknown_member_errors(members, ("dialect",), pointer="/connection")
    if members.get("dialect") not in [*Dialect]:
        detail = f"Give the dialect in which it asks: {', '.join(Dialect)}."
        errors.append(FieldError(pointer="/connection/dialect", code="invalid-dialect", detail=detail))
    return errors


def limits_of(dialect: Dialect) -> tuple[tuple[DeviationKind, str], ...]:
    """What a broker that asks so never does."""
    return (*LIMITS, *_LIMITS_OF.get(dialect, ()))


def render(subjects: Iterable[RenderSubject], dialect: Dialect) -> Rendering:
    """The rules of all that are admitted as JSON, by auth id, and what the broker does not tell of a request."""
    deviations = Deviations()
    held: dict[str, list[object]] = {}
    for subject in subjects:
        if subject.state is Standing.ADMITTED:
            name = subject.principal.auth_id
            held[name] = [rule_document(bound.rule) for bound in subject.policy]
            for bound in subject.policy:
                _note(bound, name, dialect, deviations)
    return Rendering(artifact=json.dumps(held, sort_keys=True, ensure_ascii=False), deviations=deviations.all())


def parse(artifact: str) -> Mapping[str, tuple[BoundRule, ...]]:
    """The rules that `render` wrote, by auth id."""
    return {name: tuple(map(_rule, rules)) for name, rules in json.loads(artifact).items()}


def allows(artifact: str, principal: Principal, request: Request, dialect: Dialect) -> bool:
    """Whether the broker would be told to allow the request."""
    policy = parse(artifact).get(principal.auth_id, ())
    wish = _wish(request, dialect)
    subject = RenderSubject(principal=principal, policy=policy, state=Standing.ADMITTED)
    return wish is not None and isinstance(judge_wish(wish, Judged.of(subject))[1], Allow)


def _note(bound: BoundRule, name: str, dialect: Dialect, deviations: Deviations) -> None:
    rule = bound.rule
    if dialect not in _TELLS_CONDITIONS and (rule.qos != EVERY_QOS or rule.retain is not Retain.ANY):
        deviations.note(bound, name, DeviationKind.NARROWER, _NO_CONDITIONS)
    if dialect not in _TELLS_GROUPS and rule.shared is not Shared.ANY:
        deviations.note(bound, name, DeviationKind.NARROWER, _NO_GROUPS)


def _rule(document: Mapping[str, Any]) -> BoundRule:
    rule = Rule(
        id=RuleId(UUID(document["id"])),
        effect=Effect(document["effect"]),
        actions=frozenset(map(Action, document["actions"])),
        topic=document["topic"],
        qos=frozenset(document["qos"]),
        retain=Retain(document["retain"]),
        shared=Shared(document["shared"]),
        shared_group=document["shared_group"],
    )
    return BoundRule(rule=rule, role_name="")


def _wish(request: Request, dialect: Dialect) -> Wish | None:
    """What the broker asks about the request; None if it is refused whoever asks."""
    tells = dialect in _TELLS_CONDITIONS
    if isinstance(request, Subscribe):
        qos = frozenset({request.qos}) if tells else EVERY_QOS
        if dialect is Dialect.RABBITMQ:  # to which $share is a level as any other
            return Wish(kind=WishKind.SUBSCRIBE, topic=_as_asked(request.spelled), qos=qos)
        unknown = dialect not in _TELLS_GROUPS
        group = None if unknown else request.group
        return Wish(kind=WishKind.SUBSCRIBE, topic=request.topic, qos=qos, group=group, any_group=unknown)
    if isinstance(request, Publish):
        topic = _as_asked(request.topic) if dialect is Dialect.RABBITMQ else request.topic
        if dialect is Dialect.RABBITMQ and topic.startswith("$"):
            return None
        qos = frozenset({request.qos}) if tells else EVERY_QOS
        retain = frozenset({request.retain}) if tells else EITHER
        return Wish(kind=WishKind.PUBLISH, topic=topic, qos=qos, retain=retain)
    return Wish(kind=WishKind.RECEIVE, topic=request.topic)


def _as_asked(topic: str) -> str:
    """The topic after RabbitMQ has made a routing key of it, and we a topic again."""
    return topic.replace("*", "+").translate(AS_MQTT)
