"""RabbitMQ's definitions as roles: never more than RabbitMQ allows, and what is not simple is listed."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Principal, Receive, Request, Shared, Subscribe
from brokers.core.foreign.outcome import Loss
from brokers.core.foreign.rabbitmq import read_rabbitmq
from brokers.core.foreign.regex import simple
from brokers.core.rabbitmq import emulator as rabbitmq_emulator
from brokers.core.rabbitmq.state import parse
from tests.brokers.core.foreign_judging import CAST, Judged, judge, requests

OPEN = {"configure": "^mqtt-subscription-.*$", "write": ".*", "read": "^(mqtt-subscription-.*|amq\\.topic)$"}


def definitions(topics: dict[str, tuple[str, str]], *, rights: dict[str, str] | None = None, **more: Any) -> str:
    given = OPEN if rights is None else rights
    document = {
        "users": [{"name": name, "password_hash": "", "tags": []} for name in topics],
        "permissions": [{"user": name, "vhost": "/", **given} for name in topics],
        "topic_permissions": [
            {"user": name, "vhost": "/", "exchange": "amq.topic", "write": write, "read": read}
            for name, (write, read) in topics.items()
        ],
        **more,
    }
    return json.dumps(document)


def publish(topic: str, effect: Effect = Effect.ALLOW) -> RuleSpec:
    return RuleSpec(effect=effect, actions=frozenset({Action.PUBLISH}), topic=topic)


def subscribe(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic=topic, shared=Shared.NEVER)


def rules(write: str, read: str = "^$") -> tuple[RuleSpec, ...]:
    [role] = read_rabbitmq(definitions({"pump": (write, read)})).roles
    return role.rules


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (r"^fleet\.{username}\.up\..*$", (publish("fleet/${username}/up/+/#"),)),
        (r"^a\.b$", (publish("a/b"),)),
        (r"^a.b\z", (publish("a/b"),)),
        (r"^a\.[^.]*\.b$", (publish("a/+/b"),)),
        (r"^a\.[^.]+\.b$", (publish("a/+/b"), publish("a//b", Effect.DENY))),
        (r"^a\..+", (publish("a/+/#"), publish("a/", Effect.DENY))),
        (r"^a.*", (publish("a/#"),)),
        (r"^.*$", (publish("#"),)),
        (r"^(a|b\.(?:c|{client_id}))$", (publish("a"), publish("b/c"), publish("b/${client_id}"))),
        (r"^a$|^b$", (publish("a"), publish("b"))),
        ("^$", ()),
        ("", ()),
        ("(?!)", ()),
    ],
)
def test_simple_expressions_become_filters_to_publish_to(write: str, expected: tuple[RuleSpec, ...]) -> None:
    assert rules(write) == expected


def test_expressions_on_filters_become_filters_to_subscribe_to() -> None:
    read = r"^a\.(b|[^.]+)$|^c\..*$|^#$"
    assert rules("^$", read) == (subscribe("a/b"), subscribe("a/+"), subscribe("c/#"))


@pytest.mark.parametrize(
    "pattern", [r"a\.b", r"^a", "^a[bc]$", "^a{2}$", "^(?!x)a$", r"^\w$", "^a+$", "^(a)*$", "^a\\/b$", "^(a$", "^a)$"]
)
def test_what_is_not_simple_is_listed(pattern: str) -> None:
    found = read_rabbitmq(definitions({"pump": (pattern, "^$")}))
    assert found.roles[0].rules == ()
    assert [(note.place, note.loss) for note in found.notes] == [("/topic_permissions/0/write", Loss.LEFT_OUT)]


def test_rights_to_the_exchange_and_the_queues_are_needed_too() -> None:
    for rights in ({**OPEN, "write": "^$"}, {**OPEN, "write": r"\w"}):
        found = read_rabbitmq(definitions({"pump": ("^a$", "^b$")}, rights=rights))
        assert [note.place for note in found.notes] == ["/topic_permissions/0/write", "/topic_permissions/0/read"]
        assert found.roles[0].rules == ()
    own = {**OPEN, "configure": "^mqtt-subscription-valveqos[01]$"}
    assert read_rabbitmq(definitions({"pump": ("^a$", "^b$")}, rights=own)).roles[0].rules == (publish("a"),)


def test_other_exchanges_and_users_without_topic_permissions_are_listed() -> None:
    text = definitions(
        {"pump": ("^a$", "^$")},
        users=[{"name": "pump"}, {"name": "free"}],
        permissions=[{"user": name, "vhost": "/", **OPEN} for name in ("pump", "free")],
        topic_permissions=[
            {"user": "pump", "vhost": "/", "exchange": exchange, "write": "^a$", "read": "^$"}
            for exchange in ("amq.topic", "other")
        ],
        queues=[{"name": "q"}],
    )
    found = read_rabbitmq(text)
    assert [note.place for note in found.notes] == ["/queues", "/topic_permissions/1", "/users/1"]


def test_entangled_expressions_cost_nothing() -> None:
    begun = time.process_time()
    assert simple("^" + "(a|b)" * 60 + "$") is None
    assert simple("^" + "(" * 5_000) is None
    assert simple("(a*)*" * 1_000) is None
    many = {**OPEN, "write": "^" + ".*" * 40 + "x$"}
    assert read_rabbitmq(definitions({"pump": ("^a$", "^$")}, rights=many)).roles[0].rules == ()
    assert time.process_time() - begun < 20


def pattern_of(roll: random.Random) -> str:
    def way() -> str:
        levels = [roll.choice(["a", "b", "pump", "", "[^.]*", "[^.]+", "{username}", "x{client_id}"]) for _ in range(3)]
        return roll.choice([r"\.", r"\.", "."]).join(levels[: roll.randint(1, 3)])

    body = roll.choice([way(), way(), f"(?:{way()}|{way()})", f"{way()}|{way()}"])
    end = roll.choice(["$", "$", r"\z", r"\..*$", ".*", r"\..+$", ".+", ""])
    return f"{roll.choice(['^', '^', '^', ''])}{body}{end}"


def judged(text: str, roll: random.Random, principal: Principal) -> Judged:
    state, foreign = parse(text), read_rabbitmq(text)
    topics = [rule.topic for role in foreign.roles for rule in role.rules]
    spelled = [topic.replace("${username}", principal.username) for topic in topics]
    spelled = [topic.replace("${client_id}", principal.client_id) for topic in spelled]

    def delivers(wanted: Subscribe, name: str) -> bool:
        """By any filter that it may ask for: RabbitMQ compares the text of filters, and flow is what counts."""
        asked = [Subscribe(topic=topic) for topic in (wanted.topic, *spelled)]
        return any(rabbitmq_emulator.deliverable(state, principal, each, name) for each in asked)

    def source(asked: Request) -> bool:
        if isinstance(asked, Receive):
            return delivers(Subscribe(topic=asked.topic), asked.topic)
        return rabbitmq_emulator.emulate(state, principal, asked)

    return judge(foreign, principal, requests(roll, spelled, 12), source=source, delivers=delivers, roll=roll)


def try_files(files: int, *, seed: int) -> int:
    """How many requests the imports allow; each of them is allowed by its definitions."""
    roll, allowed = random.Random(seed), 0
    for _ in range(files):
        text = definitions({name: (pattern_of(roll), pattern_of(roll)) for name in ("pump", "v1")})
        for principal in CAST:
            found = judged(text, roll, principal)
            allowed += found.allowed
            assert found.wider == [], (text, principal.auth_id)
    return allowed


def test_import_is_never_wider_than_the_definitions() -> None:
    assert try_files(200, seed=3) > 500
