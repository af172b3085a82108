"""The order of requests to RabbitMQ, where who has no topic permission may do everything: it may end at any of them.

The broker here is a stand-in that remembers for every connection what it could have been allowed since it was made, as
RabbitMQ does for a busy one (tests/brokers/adapters/test_rabbitmq_bad_days.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pytest

from brokers.core.ports import RenderSubject, Standing
from brokers.core.rabbitmq.api_call import ApiCall
from brokers.core.rabbitmq.changes import changes
from brokers.core.rabbitmq.document import marked
from brokers.core.rabbitmq.patterns import NEVER, publish_pattern
from brokers.core.rabbitmq.policy import OTHER_EXCHANGES, desired_state
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState, to_artifact
from tests.brokers.subjects import ALL, DOWN, PUBLISH, UP, rule, subject

SUBJECTS = (subject("alpha", UP, DOWN), subject("beta", ALL), subject("gamma", standing=Standing.BARRED))


class Broker:
    """What a RabbitMQ holds in the grammar of an artifact, and what each connection may remember of topics."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[str, ...], dict[str, Any]]] = defaultdict(dict)
        self.remembers: dict[str, set[tuple[str, str]]] = {}

    @property
    def document(self) -> str:
        return json.dumps({section: list(rows.values()) for section, rows in self.rows.items()})

    def take(self, call: ApiCall) -> None:
        section, *names = map(unquote, call.path.split("/"))
        section = section.replace("-", "_")
        if section == "connections":
            self.remembers.pop(names[1], None)
        elif call.method == "DELETE":
            del self.rows[section][tuple(names)]
            if section == "users":
                self.remembers.pop(names[0], None)
                for rows in self.rows.values():
                    for key in [key for key in rows if key[-1] == names[0] or names[0] in key[1:2]]:
                        del rows[key]
        else:
            self._put(section, tuple(names), dict(call.body or {}))
        self.connect()

    def _put(self, section: str, key: tuple[str, ...], row: dict[str, Any]) -> None:
        if section == "users":
            self.rows[section][key] = {"name": key[0], "password_hash": "", "tags": row["tags"].split(",")}
        else:
            names = {"vhost": key[0], "user": key[1]}
            self.rows[section][(*key, *([row["exchange"]] if "exchange" in row else []))] = {**names, **row}

    def connect(self) -> None:
        """Everybody who may is connected all the time, and has just done whatever it may."""
        for (name,) in self.rows["users"]:
            if ("/", name) in self.rows["permissions"]:
                self.remembers.setdefault(name, set())
            if name in self.remembers:
                topics = self.rows["topic_permissions"].get(("/", name, EXCHANGE), {"write": ".*", "read": ".*"})
                self.remembers[name] |= {(way, topics[way]) for way in ("write", "read")}


def state_of(subjects: Sequence[RenderSubject]) -> RabbitState:
    return marked(desired_state(subjects), vhost="/")


def calls_to(broker: Broker, subjects: Sequence[RenderSubject]) -> list[ApiCall]:
    state = state_of(subjects)
    return changes(to_artifact(state), broker.document, state=state, subjects=subjects)


def broker_with(*subjects: RenderSubject) -> Broker:
    broker = Broker()
    for call in calls_to(broker, subjects):
        broker.take(call)
    assert calls_to(broker, subjects) == []
    return broker


def by_hand(broker: Broker) -> None:
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    broker.rows["permissions"]["plant", "alpha"] = {"vhost": "plant", "user": "alpha", **everything}
    broker.rows["topic_permissions"]["/", "beta", EXCHANGE].update(write=".*")
    broker.rows["permissions"]["/", "gamma"] = {"vhost": "/", "user": "gamma", **everything}


ONE, OTHER = rule("allow", PUBLISH, "north/one", role="r"), rule("allow", PUBLISH, "north/other", role="r")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((subject("alpha", UP, DOWN), subject("beta", ALL)), (subject("alpha", UP), subject("beta", ALL))),
        ((subject("alpha", UP, DOWN), subject("beta", UP)), (subject("alpha", standing=Standing.BARRED),)),
        ((subject("alpha", ONE), subject("beta", OTHER)), (subject("alpha", OTHER), subject("beta", ONE))),
        ((subject("alpha", UP), subject("beta", UP)), (subject("alpha"), subject("beta", UP, DOWN))),
        (SUBJECTS, SUBJECTS),
    ],
)
def test_whoever_loses_something_is_disconnected_wherever_the_requests_break_off(
    before: tuple[RenderSubject, ...], after: tuple[RenderSubject, ...]
) -> None:
    wanted = state_of(after).users
    for broken_after in range(40):
        broker = broker_with(*before)
        if before == after:
            by_hand(broker)
        broker.connect()
        old = {name: set(remembered) for name, remembered in broker.remembers.items()}
        calls = calls_to(broker, after)
        for call in calls[:broken_after]:
            broker.take(call)
            for name, remembered in broker.remembers.items():  # never wider than either
                topics = wanted[name].topics[EXCHANGE] if name in wanted else None
                new = {("write", topics.write), ("read", topics.read)} if topics else set()
                assert remembered <= old.get(name, set()) | new
        for call in calls_to(broker, after):
            broker.take(call)
        assert calls_to(broker, after) == []
        for name, remembered in broker.remembers.items():
            topics = wanted[name].topics[EXCHANGE]
            widened = {(way, pattern) for way, pattern in old.get(name, ()) if kept(way, pattern, before, after, name)}
            assert remembered <= {("write", topics.write), ("read", topics.read)} | widened
        if broken_after > len(calls):
            return
    pytest.fail("there are more requests than were tried")


def kept(way: str, pattern: str, before: Sequence[RenderSubject], after: Sequence[RenderSubject], name: str) -> bool:
    """Whether the account may remember its old expression: nothing, or what all its rules of before come to."""
    rules = {each.principal.auth_id: set(each.policy) for each in after}
    had = {each.principal.auth_id: set(each.policy) for each in before}
    return pattern == NEVER or (pattern != ".*" and had[name] <= rules[name])


def test_whoever_only_gains_stays_connected() -> None:
    kinds = [call.kind for call in calls_to(broker_with(subject("alpha", UP)), (subject("alpha", UP, DOWN, ALL),))]
    assert kinds == ["set-topics", "set-permission"]  # it had no queue of its own before
    denied = subject("alpha", rule("deny", PUBLISH, "north/alpha/up/secret/#", role="d"), UP)
    assert [call.kind for call in calls_to(broker_with(denied), (subject("alpha", UP),))] == ["set-topics"]
    assert [call.kind for call in calls_to(broker_with(subject("alpha", UP)), (denied,))] == [
        "delete-entry", "set-topics", "delete-connection", "set-permission",
    ]  # fmt: skip


def test_expressions_of_somebody_else_count_as_allowing_more() -> None:
    broker = broker_with(subject("alpha", UP))
    broker.rows["topic_permissions"]["/", "alpha", EXCHANGE].update(write=publish_pattern(["north/#"], []) + "|x")
    kinds = [call.kind for call in calls_to(broker, (subject("alpha", rule("allow", PUBLISH, "#")),))]
    assert "delete-connection" in kinds


def test_an_expression_of_ours_that_somebody_cut_short_counts_as_allowing_more() -> None:
    """Without its end it matches whatever begins so, and a busy connection remembers that."""
    alpha = subject("alpha", rule("allow", PUBLISH, "plant/a"))
    broker = broker_with(alpha)
    row = broker.rows["topic_permissions"]["/", "alpha", EXCHANGE]
    row["write"] = row["write"].replace(r"plant\.a\z", r"plant\.a")
    assert [call.kind for call in calls_to(broker, (alpha,))] == [
        "delete-entry", "set-topics", "delete-connection", "set-permission",
    ]  # fmt: skip


def test_nobody_is_disconnected_from_a_broker_that_holds_nothing() -> None:
    assert {call.kind for call in calls_to(Broker(), SUBJECTS)} == {"set-user", "set-topics", "set-permission"}


def test_nobody_gets_into_the_vhost_before_every_topic_permission_is_there() -> None:
    state = marked(desired_state(SUBJECTS), vhost="/")
    told: dict[str, set[object]] = defaultdict(set)
    calls = changes(to_artifact(state), "", state=state, subjects=SUBJECTS)
    for call in calls:
        if call.kind == "set-permission":
            assert told[call.target] == {"account", EXCHANGE, *OTHER_EXCHANGES}
            told[call.target].add("permission")
        elif call.kind == "set-topics":
            assert call.body is not None
            told[call.target].add(call.body["exchange"])
        else:
            assert call.kind == "set-user"
            told[call.target].add("account")
    assert {name for name, has in told.items() if "permission" in has} == {"alpha", "beta"}
    assert told["gamma"] == {"account", EXCHANGE, *OTHER_EXCHANGES}


def test_who_goes_goes_before_anybody_loses_and_who_loses_before_anybody_gets_more() -> None:
    broker = broker_with(subject("beta", UP, DOWN), subject("delta", UP))
    calls = calls_to(broker, (subject("alpha", UP), subject("beta", UP)))
    assert [call.target for call in calls[:2]] == ["delta", "beta"]
    assert {call.target for call in calls[-6:]} == {"alpha"}
