"""The emulator beside a real RabbitMQ, and what it is built upon."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from acl.core.values import Principal
from brokers.core.rabbitmq.patterns import NEVER, subscribe_pattern
from brokers.core.rabbitmq.policy import MOST_OCTETS, render
from brokers.core.rabbitmq.state import (
    EXCHANGE,
    RabbitState,
    RabbitUser,
    ResourcePermission,
    TopicPermission,
    parse,
    to_artifact,
)
from tests.brokers.core.rabbitmq.test_policy import admitted, bound
from tests.brokers.core.real_rabbitmq import END, Account, Client, Rabbit, rabbitmq
from tests.brokers.core.real_rabbitmq_fleet import compare

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as running:
        yield running


def pump(rabbit: Rabbit, permission: TopicPermission) -> Account:
    """An account of that name that may do to topics what is said, and to queues anything."""
    everything = ResourcePermission(configure=".*", write=".*", read=".*")
    user = RabbitUser(permission=everything, topics={EXCHANGE: permission})
    rabbit.load(to_artifact(RabbitState(users={"pump": user})))
    return Account(rabbit.port, "pump", "pump")


def test_rabbitmq_does_what_its_emulator_says(rabbit: Rabbit) -> None:
    found = compare(rabbit, seed=23, users=16)
    assert not found.differences
    assert found.pairs > 500


def test_it_exports_what_was_rendered(rabbit: Rabbit) -> None:
    names = ("pump-1", "p(u)mp", "caf\u00e9", 'q"uo"te', "back\\slash")
    people = [Principal(id=name, auth_id=name, client_id=name, username=name, domain="d") for name in names]
    policy = (bound("allow", "a/${auth_id}/#"), bound("deny", "a/+/\u00e9{username}/#"))
    artifact = render(admitted(*policy, principal=person) for person in people).artifact
    rabbit.load(artifact)
    exported = rabbit.definitions()
    ours = {name: [each for each in exported[name] if _owner(each) in names] for name in json.loads(artifact)}
    for user in ours["users"]:
        del user["password_hash"]  # the test's own
    for granted in ours["topic_permissions"]:
        granted["read"] = granted["read"].removeprefix(r"^zz\.end\z|")
    for entries in ours.values():
        for entry in entries:
            entry.pop("limits", None)
    assert to_artifact(parse(json.dumps(ours))) == artifact


def _owner(entry: dict[str, str]) -> str:
    return entry.get("user") or entry["name"]


def test_the_usual_expression_for_nothing_lets_something_pass_and_ours_does_not(rabbit: Rabbit) -> None:
    account = pump(rabbit, TopicPermission(write="^$", read="^$"))
    assert [topic for topic in ("", "\n", "a") if account.may_publish(topic)] == ["", "\n"]
    account.close()
    account = pump(rabbit, TopicPermission(write=NEVER, read=NEVER))
    assert not [topic for topic in ("", "\n", "a") if account.may_publish(topic) or account.may_subscribe(topic)]


def test_a_kept_session_receives_what_it_may_no_longer_subscribe_to(rabbit: Rabbit) -> None:
    pump(rabbit, TopicPermission(write=NEVER, read=r"^secret\z"))
    kept = Client(rabbit.port, "pump", "kept", keep=True)
    kept.subscribe("secret")
    kept.close()
    pump(rabbit, TopicPermission(write=NEVER, read=NEVER))
    kept = Client(rabbit.port, "pump", "kept", keep=True)
    kept.subscribe(END)
    root = Account(rabbit.port, "root", "root")
    assert all(root.may_publish(topic) for topic in ("secret", END))
    assert kept.receive_until(END) == ["secret"]
    kept.close()
    root.close()
    assert not Account(rabbit.port, "pump", "pump").may_subscribe("secret")


def test_an_expression_of_the_greatest_length_is_taken_and_judged(rabbit: Rabbit) -> None:
    """RabbitMQ takes what compiles to 64 KiB: a class like [^.#] of 5 octets takes 33."""
    wide = subscribe_pattern([f"+/+/+/+/+/+/+/+/+/+/{number}" for number in range(100)], [])
    deep = subscribe_pattern(["#"], ["/".join([level] * 100) for level in "abcd+"])
    assert 0.85 * MOST_OCTETS < min(len(wide), len(deep)) <= max(len(wide), len(deep)) <= MOST_OCTETS
    account = pump(rabbit, TopicPermission(write=NEVER, read=wide))
    assert account.may_subscribe("a/b/c/d/e/f/g/h/i/j/99")
    assert not account.may_subscribe("a/b/c/d/e/f/g/h/i/j/100")
    account = pump(rabbit, TopicPermission(write=NEVER, read=deep))
    assert account.may_subscribe("/".join("a" * 99))
    assert not account.may_subscribe("/".join("a" * 99) + "/#")
    assert not account.may_subscribe("a/" * 30_000 + "#/b")
    account.close()
