"""The emulators beside the brokers that they emulate."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from acl.core.values import Action, BoundRule, Principal, Publish, Receive, Subscribe
from brokers.core.mosquitto import acl as mosquitto_acl
from brokers.core.mosquitto import acl_emulator as mosquitto_acl_emulator
from brokers.core.mosquitto import acl_patterns as mosquitto_acl_patterns
from brokers.core.mosquitto import dynsec_emulator
from brokers.core.mosquitto.acl_file import Access, AclFile, AclLine, InvalidAclFile, to_text
from brokers.core.mosquitto.acl_file import parse as parse_acl
from brokers.core.mosquitto.dynsec import render
from brokers.core.mosquitto.dynsec_state import parse
from brokers.core.nats import emulator as nats_emulator
from brokers.core.nats.policy import permissions
from brokers.core.ports import RenderSubject, Standing
from tests.brokers.core.faithfulness import Dice
from tests.brokers.core.nats.test_policy import admitted, bound
from tests.brokers.core.real import (
    ROOTS,
    Client,
    await_messages,
    filters_near,
    mosquitto,
    mosquitto_with_acl_file,
    nats_server,
    settle,
)

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
    names = [subject.principal.auth_id for subject in subjects]
    sent = {(topic, name.encode()) for name, topic in product(names, TOPICS) if sends(name, topic)}
    await_messages(root, sent)
    settle([root])
    for name, topic in product(names, TOPICS):
        if ((topic, name.encode()) in root.received) is not ((topic, name.encode()) in sent):
            found.append(f"{name} publish {topic!r}: {not sends(name, topic)}")
    root.publish(TOPICS, b"root")
    delivered = {
        (name, filter_): {topic for topic in TOPICS if delivers(name, filter_, topic)} for name, filter_ in listening
    }
    for key, client in listening.items():
        await_messages(client, {(topic, b"root") for topic in delivered[key]})
    settle(list(listening.values()))
    for (name, filter_), client in listening.items():
        received = {topic for topic, payload in set(client.received) if payload == b"root"}
        expected = delivered[name, filter_]
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


def test_mosquitto_does_with_an_acl_file_what_its_emulator_says(tmp_path: Path) -> None:
    dice, subjects = people(seed=23)
    users = parse_acl(mosquitto_acl.render(subjects).artifact).users
    patterns = [dice.filter().replace("x.y", "%u").replace("*", "x%u") for _ in range(30)]
    accesses = [Access.READ, Access.WRITE, Access.READWRITE, Access.DENY]
    lines = [AclLine(access=dice.roll.choice(accesses), topic=topic) for topic in patterns]
    state = AclFile(users=users, patterns=tuple(line for line in lines if line.topic != "#"))
    who = {subject.principal.auth_id: subject.principal for subject in subjects}
    with mosquitto_with_acl_file(tmp_path, to_text(state)) as port:
        assert not differences(
            port,
            dice,
            subjects,
            sends=lambda name, topic: mosquitto_acl_emulator.emulate(state, who[name], Publish(topic=topic)),
            grants=lambda name, filter_: mosquitto_acl_emulator.emulate(state, who[name], Subscribe(topic=filter_)),
            delivers=lambda name, filter_, topic: mosquitto_acl_emulator.deliverable(
                state, who[name], Subscribe(topic=filter_), topic
            ),
        )


NAMED = """
topic readwrite open
user u
topic deny d/x
topic readwrite d/#
topic write a/secret
topic readwrite w
user v
topic readwrite v/+
user u
topic read later
pattern deny a/#
pattern read a/+
pattern deny d/#
pattern readwrite u/%u/#
pattern readwrite c/%c/+
pattern write x%u/%c
pattern readwrite all/+
pattern write %u/z
"""


def test_an_acl_file_names_users_and_clients_as_its_emulator_says(tmp_path: Path) -> None:
    """Denies of one level whatever their order, users before patterns, and values that inject."""
    state = parse_acl(NAMED)
    topics = ["open", "d/x", "d/y", "a/secret", "a/b", "w", "v/1", "later", "u/u/1", "u/a/b/1", "u/+", "c/k/1", "xu/k"]
    topics = [*(topic for topic in topics if "+" not in topic), "c/a/b/1", "c/%u/1", "all/x", "x%c/k", "$s/z", "a/b/z"]
    people = [("u", "k"), ("v", "k1"), ("w", "k2"), ("a/b", "k3"), ("+", "k4"), ("u", "+"), ("%c", "k5"), ("w", "%u")]
    people += [("$s", "k6"), ("w", "a/b"), ("", "k7")]
    with mosquitto_with_acl_file(tmp_path, NAMED) as port:
        assert not differences_of_people(port, state, people, topics)


def test_patterns_give_everybody_its_own_and_keep_from_them_who_has_other_roles(tmp_path: Path) -> None:
    fleet = (
        bound("allow", "n/${auth_id}/up/#", actions=frozenset({Action.PUBLISH})),
        bound("allow", "n/${auth_id}/down/#", actions=frozenset({Action.SUBSCRIBE})),
        bound("allow", "n/all/#", actions=frozenset({Action.SUBSCRIBE})),
        bound("deny", "n/+/up/secret"),
    )
    other = (bound("allow", "fix/${auth_id}"), bound("allow", "n/+/down/x", actions=frozenset({Action.PUBLISH})))
    named = [(name, fleet) for name in ("a", "b", "c", "d e", "%u", "%c", "caf\u00e9", "m/n", "+")]
    subjects = [admitted(*policy, principal=_person(name)) for name, policy in named]
    subjects += [admitted(*other, principal=_person(name)) for name in ("q", "x/up")]
    subjects += [RenderSubject(principal=_person("z"), policy=(), state=Standing.BARRED)]
    subjects += [RenderSubject(principal=_person("y/down"), policy=(), state=Standing.ABSENT)]
    artifact = mosquitto_acl_patterns.render(subjects).artifact
    assert "\npattern write n/%u/up/#\n" in artifact
    names = [subject.principal.auth_id for subject in subjects]
    topics = [f"n/{name}/{rest}" for name in names for rest in ("up/1", "up/secret", "down/x") if "+" not in name]
    topics += ["n/all/1", "n/m", "n/w/up/1", *(f"fix/{name}" for name in names if "+" not in name)]
    with mosquitto_with_acl_file(tmp_path, artifact) as port:
        people = [(name, f"k{number}") for number, name in enumerate((*names, "stranger", ""))]
        assert not differences_of_people(port, parse_acl(artifact), people, topics)


def _person(name: str, client_id: str = "") -> Principal:
    return Principal(id=name, auth_id=name, client_id=client_id or name, username=name, domain="d")


def differences_of_people(
    port: int, state: AclFile, people: Sequence[tuple[str, str]], topics: Sequence[str]
) -> list[str]:
    """What usernames with client ids, all different, may write and read otherwise than the emulator says."""
    clients = {who: Client(port, *who) for who in people}
    root = Client(port, "root", "root")
    root.subscribe(ROOTS)
    for who, client in clients.items():
        assert all(client.subscribe(["#", "$s/#"]).values())
        client.publish(topics, repr(who).encode())
    root.publish(topics, b"root")
    passes = {
        who: [topic for topic in topics if mosquitto_acl_emulator.emulate(state, _person(*who), Publish(topic=topic))]
        for who in people
    }
    arrives = {
        who: [topic for topic in topics if mosquitto_acl_emulator.emulate(state, _person(*who), Receive(topic=topic))]
        for who in people
    }
    for who, client in clients.items():
        await_messages(root, {(topic, repr(who).encode()) for topic in passes[who]})
        await_messages(client, {(topic, b"root") for topic in arrives[who]})
    settle([root, *clients.values()])
    found = []
    for who, client in clients.items():
        written = {topic for topic, payload in set(root.received) if payload == repr(who).encode()}
        read = {topic for topic, payload in set(client.received) if payload == b"root"}
        for topic in topics:
            if (topic in written) is not (topic in passes[who]):
                found.append(f"{who} publish {topic!r}: {topic in written}")
            if (topic in read) is not (topic in arrives[who]):
                found.append(f"{who} receive {topic!r}: {topic in read}")
        client.close()
    root.close()
    return found


@pytest.mark.parametrize(
    "text",
    [
        "topic read a \t\r\n# a comment\n\n   \n topic  deny  b/#\nuser  u v \npattern write a b\n",
        "topic read\ta\ntopic read\ntopic deny\ntopic a\n",
        "topic read " + "a/" * 200 + "\ntopic read " + "a" * 65_535 + "\n",
        "topic read a\u2028topic b\x0btopic c\x85d\n",
    ],
)
def test_mosquitto_starts_with_what_is_parsed(tmp_path: Path, text: str) -> None:
    parse_acl(text)
    with mosquitto_with_acl_file(tmp_path, text):
        pass


@pytest.mark.parametrize(
    "line",
    [
        *(
            "\ttopic a",
            "topic\ta",
            " # x",
            "user",
            "user \t",
            "topic",
            "pattern read a+",
            "topic a b",
            "topic read #/a",
        ),
        *("TOPIC a", "\ufefftopic a", "include x", "topic read " + "a/" * 201, "topic read " + "a" * 65_536),
    ],
)
def test_mosquitto_does_not_start_with_what_is_not_parsed(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidAclFile) as caught:
        parse_acl(f"topic read a\n{line}\n")
    assert [error.pointer for error in caught.value.errors] == ["/lines/2"]
    with pytest.raises(AssertionError, match="ended"), mosquitto_with_acl_file(tmp_path, f"topic read a\n{line}\n"):
        pass
