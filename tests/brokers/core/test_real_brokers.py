"""The emulators beside the brokers that they emulate."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from acl.core.values import BoundRule, Principal, Publish
from brokers.core import dynsec_emulator, nats_emulator
from brokers.core.dynsec_state import parse
from brokers.core.mosquitto_dynsec import render
from brokers.core.nats import permissions
from brokers.core.ports import RenderSubject, Standing
from tests.brokers.core.faithfulness import Dice
from tests.brokers.core.real import ROOTS, Client, filters_near, mosquitto, nats_server, settle

pytestmark = pytest.mark.e2e

LEVELS = ("", "a", "b", "$s", "x.y", "*", ">", "\u00e9")
_CHOICES = (choice for size in (1, 2, 3) for choice in product(("", "a", "b", "$s", "x.y"), repeat=size))
TOPICS = ["/".join(choice) for choice in _CHOICES][1:]
USERS, FILTERS = 20, 5


def people(seed: int) -> tuple[Dice, list[RenderSubject]]:
    dice = Dice(roll=random.Random(seed), levels=LEVELS)
    subjects = []
    for number in range(USERS):
        name = f"u{number}"
        principal = Principal(id=name, auth_id=name, client_id=name, username=name, domain="d")
        policy = tuple(_named(rule, name) for rule in (*dice.policy(), *dice.policy()))
        subjects.append(RenderSubject(principal=principal, policy=policy, state=Standing.ADMITTED))
    return dice, subjects


def _named(bound: BoundRule, name: str) -> BoundRule:
    """A role of the user's own: the users' policies have nothing to do with each other."""
    return BoundRule(rule=bound.rule, role_name=f"{bound.role_name}-{name}")


def differences(
    port: int,
    dice: Dice,
    subjects: Sequence[RenderSubject],
    *,
    sends: Callable[[str, str], bool],
    grants: Callable[[str, str], bool],
    delivers: Callable[[str, str, str], bool],
) -> list[str]:
    """Where the broker does otherwise than the emulator says."""
    root = Client(port, "root", "root")
    assert all(root.subscribe(ROOTS).values())
    found: list[str] = []
    listening: dict[tuple[str, str], Client] = {}
    for subject in subjects:
        name = subject.principal.auth_id
        client = Client(port, name, name)
        filters = filters_near(dice, [bound.rule.topic for bound in subject.policy], FILTERS)
        for filter_, granted in client.subscribe(filters).items():
            if granted is not grants(name, filter_):
                found.append(f"{name} subscribe {filter_!r}: {granted}")
        client.publish(TOPICS, name.encode())
        client.close()
        for number, filter_ in enumerate(filters):
            listening[name, filter_] = Client(port, name, f"{name}-{number}")
            listening[name, filter_].subscribe([filter_])
    settle([root])
    for subject, topic in product(subjects, TOPICS):
        name = subject.principal.auth_id
        if ((topic, name.encode()) in root.received) is not sends(name, topic):
            found.append(f"{name} publish {topic!r}: {not sends(name, topic)}")
    root.publish(TOPICS, b"root")
    settle(list(listening.values()))
    for (name, filter_), client in listening.items():
        received = {topic for topic, payload in client.received if payload == b"root"}
        expected = {topic for topic in TOPICS if delivers(name, filter_, topic)}
        found.extend(f"{name} at {filter_!r} got {topic!r}" for topic in received - expected)
        found.extend(f"{name} at {filter_!r} did not get {topic!r}" for topic in expected - received)
        client.close()
    root.close()
    return found


def test_nats_does_what_its_emulator_says(tmp_path: Path) -> None:
    dice, subjects = people(seed=21)
    users = {subject.principal.auth_id: permissions(subject) for subject in subjects}
    with nats_server(tmp_path, users) as port:
        assert not differences(
            port,
            dice,
            subjects,
            sends=lambda name, topic: nats_emulator.emulate(users[name], Publish(topic=topic)),
            grants=lambda name, filter_: nats_emulator.may_subscribe(users[name], filter_, qos=1),
            delivers=lambda name, filter_, topic: nats_emulator.deliverable(users[name], filter_, topic, qos=1),
        )


def test_mosquitto_does_what_its_emulator_says(tmp_path: Path) -> None:
    dice, subjects = people(seed=22)
    artifact = render(subjects).artifact
    state = parse(artifact)
    with mosquitto(tmp_path, artifact) as port:
        assert not differences(
            port,
            dice,
            subjects,
            sends=lambda name, topic: dynsec_emulator.may_send(state, name, topic),
            grants=lambda name, filter_: dynsec_emulator.may_subscribe(state, name, filter_),
            delivers=lambda name, filter_, topic: dynsec_emulator.deliverable(state, name, filter_, topic),
        )
