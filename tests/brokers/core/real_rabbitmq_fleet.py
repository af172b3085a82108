"""Generated fleets on a real RabbitMQ: what it passes, grants and delivers, beside what the emulator says.

RabbitMQ looks at no topic twice: what MQTT does not allow (`a/#/b`, an empty topic) is tried as well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from acl.core.values import Principal, Receive, Subscribe
from brokers.core.ports import RenderSubject
from brokers.core.rabbitmq.emulator import may_publish, may_subscribe, reaches
from brokers.core.rabbitmq.state import RabbitState, parse
from brokers.core.targets import RABBITMQ
from tests.brokers.core.generated import Asker, Fleet, Member
from tests.brokers.core.real_fleets import Comparison, gathered
from tests.brokers.core.real_rabbitmq import END, Account, Rabbit, with_root

ROUNDS, TOPICS, DELIVERED = 4, 25, 30
_CHANGES = (
    ("/", "."),
    ("+", "*"),
    ("*", "+"),
    ("+", "#"),
    ("/", "/#/"),
    ("a", "#"),
    ("a", "a\n"),
    ("b", ""),
    ("a", "a#"),
)


def compare(rabbit: Rabbit, *, seed: object, users: int) -> Comparison:
    """The broker beside the emulator, for a fleet of that many accounts with hostile names."""
    roll = random.Random(f"{seed}")
    made = _told_apart(gathered(roll, users=users))
    rendering = RABBITMQ.render(made.subjects())
    rabbit.load(rendering.artifact)
    trial = _Trial(roll=roll, fleet=made, rabbit=rabbit, state=with_root(parse(rendering.artifact)))
    trial.run(made.subjects())
    return trial.found


def _told_apart(made: Fleet) -> Fleet:
    """Every other member with a name that may stand in an expression as it is; each with a client id of its own."""
    members = []
    for number, member in enumerate(made.members):
        name = f"pump-{number}" if number % 2 else member.principal.auth_id
        client_id = f"{member.principal.client_id}-{number}"
        members.append(replace(member, principal=replace(member.principal, auth_id=name, client_id=client_id)))
    return replace(made, members=tuple(members))


@dataclass(slots=True, kw_only=True)
class _Trial:
    roll: random.Random
    fleet: Fleet
    rabbit: Rabbit
    state: RabbitState
    found: Comparison = field(default_factory=Comparison)

    def run(self, subjects: Sequence[RenderSubject]) -> None:
        asker = Asker(roll=self.roll, fleet=self.fleet)
        for subject, member in zip(subjects, self.fleet.members, strict=True):
            self._publishes(subject.principal, asker, member)
        root = Account(self.rabbit.port, "root", "root")
        for _ in range(ROUNDS):
            self._listen(root, asker, [subject.principal for subject in subjects])
        root.close()

    def _publishes(self, principal: Principal, asker: Asker, member: Member) -> None:
        account = Account(self.rabbit.port, principal.auth_id, principal.client_id)
        for topic in _topics(asker, member, TOPICS):
            says = may_publish(self.state, principal, topic)
            self.found.see(f"{principal} publish {topic!r}", broker=account.may_publish(topic), emulator=says)
        account.close()

    def _listen(self, root: Account, asker: Asker, principals: Sequence[Principal]) -> None:
        """Everybody asks for one filter; whoever is granted it is told which messages came."""
        listening: list[tuple[Principal, str, Account]] = []
        topics: list[str] = []
        for principal, member in zip(principals, self.fleet.members, strict=True):
            wanted, qos = self._wanted(asker, member, principal), self.roll.randint(0, 2)
            account = Account(self.rabbit.port, principal.auth_id, principal.client_id)
            says = may_subscribe(self.state, principal, wanted, qos=qos)
            granted = account.may_subscribe(wanted, qos=qos)
            self.found.see(f"{principal} subscribe {wanted!r} {qos}", broker=granted, emulator=says)
            account.close()
            if granted and account.may_subscribe(wanted):
                account.client().subscribe(END)
                listening.append((principal, wanted, account))
                topics += [name for name in asker.names(wanted.replace(".", "/"), count=3) if name != END]
        topics = self.roll.sample(topics, min(len(topics), DELIVERED))
        for topic in (*topics, END):
            assert root.may_publish(topic)
        self._received(listening, topics)

    def _received(self, listening: Sequence[tuple[Principal, str, Account]], topics: Sequence[str]) -> None:
        for principal, wanted, account in listening:
            received = account.client().receive_until(END)
            for topic in topics:
                as_told = topic.replace(".", "/").replace("*", "+")
                says = reaches(wanted, topic)
                what = f"{principal} deliver {topic!r} to {wanted!r}"
                self.found.see(what, broker=as_told in received, emulator=says)
            account.close()

    def _wanted(self, asker: Asker, member: Member, principal: Principal) -> str:
        """A filter, more often than not one that is granted."""
        requests = [asker.request(member) for _ in range(40)]
        filters = [_changed(self.roll, each.spelled) for each in requests if isinstance(each, Subscribe)] or ["a"]
        granted = [filter for filter in filters if may_subscribe(self.state, principal, filter)]
        return self.roll.choice(granted if granted and self.roll.random() < 0.7 else filters)


def _topics(asker: Asker, member: Member, count: int) -> Iterator[str]:
    for _ in range(count):
        request = asker.request(member)
        if isinstance(request, Receive) or asker.roll.random() < 0.3:
            yield _changed(asker.roll, request.topic)
        else:
            yield from asker.names(request.topic, count=1)


def _changed(roll: random.Random, text: str) -> str:
    """The text, three times in ten with something in it that RabbitMQ may take otherwise."""
    return text.replace(*roll.choice(_CHANGES)) if roll.random() < 0.3 else text
