"""What a broker that asks is told, and what it does not tell of a request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acl.core.values import BoundRule, Publish, Receive, Request, Retain, Shared, Subscribe
from brokers.core.asking import allows, connection_errors, render
from brokers.core.decide.snippets import Dialect
from brokers.core.ports import DeviationKind, Standing
from tests.brokers.subjects import ALL, DOWN, PUBLISH, SUBSCRIBE, UP, rule, subject


def narrowed(bound: BoundRule, **conditions: object) -> BoundRule:
    return replace(bound, rule=replace(bound.rule, **conditions))  # type: ignore[arg-type]


def told(dialect: Dialect, request: Request, *policy: BoundRule) -> bool:
    pump = subject("pump-1", *policy)
    return allows(render([pump], dialect).artifact, pump.principal, request, dialect)


@pytest.mark.parametrize("dialect", Dialect)
def test_plain_rules_mean_the_same_to_every_broker(dialect: Dialect) -> None:
    for request, allowed in (
        (Publish(topic="north/pump-1/up/t", qos=2, retain=True), True),
        (Publish(topic="north/pump-2/up/t"), False),
        (Subscribe(topic="north/pump-1/down/#", qos=1), True),
        (Subscribe(topic="north/+/down/#"), False),
        (Receive(topic="north/all/x"), True),
    ):
        assert told(dialect, request, UP, DOWN, ALL) is allowed, request
    assert render([subject("pump-1", UP, DOWN, ALL)], dialect).deviations == ()


def test_conditions_that_a_broker_does_not_tell_of_narrow_and_are_deviations() -> None:
    low, unretained = narrowed(UP, qos=frozenset({0})), narrowed(UP, retain=Retain.NEVER)
    request = Publish(topic="north/pump-1/up/t")
    for policy in (low, unretained):
        for dialect in Dialect:
            exact = dialect in {Dialect.EMQX, Dialect.VERNEMQ}
            assert told(dialect, request, policy) is exact
            found = render([subject("pump-1", policy)], dialect).deviations
            assert [each.kind for each in found] == ([] if exact else [DeviationKind.NARROWER])


def test_a_group_that_a_broker_does_not_tell_narrows_and_is_a_deviation() -> None:
    shared = narrowed(DOWN, shared=Shared.ONLY)
    request = Subscribe(topic="north/pump-1/down/#", group="g")
    answers = {dialect: told(dialect, request, shared) for dialect in Dialect}
    assert answers == {"emqx": False, "rabbitmq": False, "vernemq": True, "goauth": True, "nanomq": True}
    assert len(render([subject("pump-1", shared)], Dialect.EMQX).deviations) == 1


def test_rabbitmq_asks_with_dots_and_asterisks() -> None:
    every = (rule("allow", PUBLISH, "#"), rule("allow", SUBSCRIBE, "a/+/c"), rule("allow", PUBLISH, "$app"))
    assert told(Dialect.RABBITMQ, Subscribe(topic="a.*.c"), *every)
    assert told(Dialect.RABBITMQ, Publish(topic="a.b"), *every)
    assert not told(Dialect.RABBITMQ, Publish(topic="a/*"), *every)
    assert not told(Dialect.RABBITMQ, Publish(topic="$app"), *every)
    assert not told(Dialect.RABBITMQ, Subscribe(topic="a/b/c", group="g"), *every)


def test_who_is_not_admitted_has_no_rules() -> None:
    barred = subject("pump-1", UP, standing=Standing.BARRED)
    artifact = render([barred], Dialect.EMQX).artifact
    assert artifact == "{}"
    assert not allows(artifact, barred.principal, Publish(topic="north/pump-1/up/t"), Dialect.EMQX)


def test_a_connection_is_the_dialect_alone() -> None:
    assert connection_errors({"dialect": "vernemq"}) == []
    wrong: list[object] = [{}, {"dialect": "hivemq"}, {"dialect": ["emqx"]}, {"dialect": "emqx", "host": "x"}, [], None]
    for each in wrong:
        assert connection_errors(each), each
