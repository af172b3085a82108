"""Generated fleets on a real broker: what it grants, passes and delivers, beside what the target's emulator says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from acl.core.topics import InvalidTopic, valid_filter, valid_name
from acl.core.values import Publish, Rule, Subscribe
from brokers.core.mosquitto import dynsec_emulator
from brokers.core.nats import policy as nats
from brokers.core.ports import RenderSubject, Standing
from brokers.core.targets import TARGETS, Target
from tests.brokers.core.generated import Asker, Fleet, Member, fleet
from tests.brokers.core.real import (
    ROOTS,
    Client,
    await_messages,
    mosquitto,
    mosquitto_with_acl_file,
    nats_server,
    settle,
)

USERS, FILTERS, TOPICS_NEAR = 20, 5, 150
_CHOICES = (choice for size in (1, 2, 3) for choice in product(("", "a", "b", "$s", "x.y"), repeat=size))
TOPICS = ["/".join(choice) for choice in _CHOICES][1:]


@dataclass(slots=True)
class Comparison:
    """How many pairs were tried on the broker, and where it did otherwise than the emulator says."""

    pairs: int = 0
    differences: list[str] = field(default_factory=list)

    def see(self, what: str, *, broker: bool, emulator: bool) -> None:
        """Counts a pair."""
        self.pairs += 1
        if broker is not emulator:
            self.differences.append(f"{what}: the broker {'does' if broker else 'does not'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RealBroker:
    """A make of broker that can be started with what a target renders.

    `speaks` are the topics and filters over which it does not close the connection. With `by_client_id` policy goes by
    that, so that everybody has one connection; else each filter has one of its own.
    """

    target: Target
    start: Callable[[Path, Any], AbstractContextManager[int]]
    speaks: Callable[[str], bool]
    by_client_id: bool = False


def _speaks_to_nats(text: str) -> bool:
    return not any(map(nats.unusable, text.split("/")))


MOSQUITTO = RealBroker(
    target=TARGETS["mosquitto-dynsec"],
    start=lambda folder, state: mosquitto(folder, TARGETS["mosquitto-dynsec"].write(state)),
    speaks=lambda text: not dynsec_emulator.refuses(text),
)
MOSQUITTO_ACL = RealBroker(
    target=TARGETS["mosquitto-acl"],
    start=lambda folder, state: mosquitto_with_acl_file(folder, TARGETS["mosquitto-acl"].write(state)),
    speaks=lambda text: not dynsec_emulator.refuses(text),
)
MOSQUITTO_ACL_PATTERNS = replace(MOSQUITTO_ACL, target=TARGETS["mosquitto-acl-patterns"], by_client_id=True)
NATS = RealBroker(target=TARGETS["nats"], start=nats_server, speaks=_speaks_to_nats)


def gathered(roll: random.Random, *, users: int = USERS) -> Fleet:
    """Members of several generated fleets as one: their names and roles are kept apart by a number."""
    roles: list[tuple[str, tuple[Rule, ...]]] = []
    members: list[Member] = []
    while len(members) < users:
        made, mark = fleet(roll), f".{len(members)}"
        roles += [(f"{name}{mark}", rules) for name, rules in made.roles]
        members += [_marked(member, mark) for member in made.members if member.state is Standing.ADMITTED]
    return Fleet(roles=tuple(roles), members=tuple(members))


def _marked(member: Member, mark: str) -> Member:
    named, client_id = (
        f"{text}{mark}".translate(dict.fromkeys(range(32)))
        for text in (member.principal.auth_id, member.principal.client_id)
    )
    principal = replace(member.principal, auth_id=named, username=named, client_id=client_id)
    return replace(member, principal=principal, roles=tuple(f"{name}{mark}" for name in member.roles))


def compare(real: RealBroker, folder: Path, *, seed: object, users: int = USERS) -> Comparison:
    """The broker beside the emulator: every topic published by every user, and delivered to every listener."""
    roll = random.Random(f"{seed}")
    made = gathered(roll, users=users)
    asker = Asker(roll=roll, fleet=made)
    state = real.target.parse(real.target.render(made.subjects()).artifact)
    topics = list(dict.fromkeys([*TOPICS, *_topics_near(asker, made, real)]))
    found = Comparison()
    with real.start(folder, state) as port:
        filters = [_filters(asker, member, real) for member in made.members]
        _Session(real, state, port, found).run(made.subjects(), topics, filters)
    return found


def _topics_near(asker: Asker, made: Fleet, real: RealBroker) -> Iterator[str]:
    for _ in range(TOPICS_NEAR):
        member = asker.roll.choice(made.members)
        for name in asker.names(asker.request(member).topic, count=1):
            if real.speaks(name) and _is_name(name) and (not name.startswith("$") or name.startswith("$s/")):
                yield name


def _is_name(text: str) -> bool:
    try:
        return bool(valid_name(text))
    except InvalidTopic:
        return False


def _filters(asker: Asker, member: Member, real: RealBroker) -> list[Subscribe]:
    found: dict[str, Subscribe] = {}
    while len(found) < FILTERS:
        request = asker.request(member)
        if isinstance(request, Subscribe) and real.speaks(request.topic) and valid_filter(request.topic):
            wanted = request._replace(qos=1)
            found[wanted.spelled] = wanted
    return list(found.values())


class _Session:
    """Everybody connects, asks, publishes and listens. A shared subscription is asked for, but not listened to."""

    def __init__(self, real: RealBroker, state: Any, port: int, found: Comparison) -> None:
        self._target, self._state, self._port, self._found = real.target, state, port, found
        self._by_client_id = real.by_client_id

    def run(
        self, subjects: Sequence[RenderSubject], topics: Sequence[str], filters: Sequence[Sequence[Subscribe]]
    ) -> None:
        """Counts every pair, and notes what differs."""
        root = Client(self._port, "root", "root")
        assert all(root.subscribe(ROOTS).values())
        listening: list[tuple[RenderSubject, Sequence[Subscribe], Client]] = []
        for number, (subject, wanted) in enumerate(zip(subjects, filters, strict=True)):
            client = self._client(subject, f"c{number}")
            self._ask(client, subject, wanted)
            client.publish(topics, str(number).encode())
            client.close()
            plain = [each for each in wanted if each.group is None]
            for place, part in enumerate([plain] if self._by_client_id else [[each] for each in plain]):
                listener = self._client(subject, f"c{number}-{place}")
                listener.subscribe([each.topic for each in part])
                listening.append((subject, part, listener))
        self._published(root, subjects, topics)
        root.publish(topics, b"root")
        self._delivered(listening, topics)
        root.close()

    def _client(self, subject: RenderSubject, name: str) -> Client:
        principal = subject.principal
        return Client(self._port, principal.auth_id, principal.client_id if self._by_client_id else name)

    def _ask(self, client: Client, subject: RenderSubject, wanted: Sequence[Subscribe]) -> None:
        granted = client.subscribe([each.spelled for each in wanted])
        for each in wanted:
            says = self._target.emulate(self._state, subject.principal, each)
            what = f"{subject.principal.auth_id!r} grant {each.spelled!r}"
            self._found.see(what, broker=granted[each.spelled], emulator=says)

    def _published(self, root: Client, subjects: Sequence[RenderSubject], topics: Sequence[str]) -> None:
        says = {
            (topic, str(number).encode()): self._target.emulate(
                self._state, subject.principal, Publish(topic=topic, qos=1)
            )
            for (number, subject), topic in product(enumerate(subjects), topics)
        }
        await_messages(root, {message for message, passes in says.items() if passes})
        settle([root])
        for (topic, payload), passes in says.items():
            what = f"{subjects[int(payload)].principal.auth_id!r} pass {topic!r}"
            self._found.see(what, broker=(topic, payload) in root.received, emulator=passes)

    def _delivered(
        self, listening: Sequence[tuple[RenderSubject, Sequence[Subscribe], Client]], topics: Sequence[str]
    ) -> None:
        expected = [
            {
                (topic, b"root")
                for topic in topics
                if any(self._target.deliverable(self._state, subject.principal, each, topic) for each in part)
            }
            for subject, part, _ in listening
        ]
        for (_, _, client), messages in zip(listening, expected, strict=True):
            await_messages(client, messages)
        settle([client for _, _, client in listening])
        for (subject, part, client), messages in zip(listening, expected, strict=True):
            for topic in topics:
                what = f"{subject.principal.auth_id!r} deliver {topic!r} to {[each.topic for each in part]}"
                broker = (topic, b"root") in client.received
                self._found.see(what, broker=broker, emulator=(topic, b"root") in messages)
            client.close()
