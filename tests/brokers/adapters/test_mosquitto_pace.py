"""How many commands Mosquitto gets at once: it answers nobody while it writes its whole file for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from brokers.adapters.mosquitto_dynsec import MosquittoDynsecAdapter
from brokers.core.mosquitto.dynsec_changes import Command
from brokers.core.ports import AppliedState, DesiredState, Step
from brokers.core.values import AdapterKind
from tests.brokers.links import broker_link
from tests.brokers.subjects import ALL, UP, subject

LINK = broker_link(AdapterKind.MOSQUITTO_DYNSEC, {"host": "127.0.0.1", "port": 1, "username": "g", "password": "p"})
PAYLOAD = '{"members": {}, "tolerates": []}'
STEPS = [Step(kind="createRole", target=str(number), summary="", payload=PAYLOAD) for number in range(45)]


class Broker:
    """It takes so many seconds for what it writes. Of the roles that are there it tells what `there` says."""

    def __init__(self, write: float, there: dict[str, Any]) -> None:
        self.now, self.write, self.there = 0.0, write, there
        self.seen: list[list[str]] = []
        self.pauses: list[float] = []

    def ask(self, commands: Sequence[Command]) -> list[dict[str, Any]]:
        if commands and commands[0].name == "getRole":
            return [
                {"data": {"role": self.there[each.target]}} if each.target in self.there else {} for each in commands
            ]
        if commands:
            self.seen.append([f"{command.name} {command.target}" for command in commands])
        answers = [self._answer(command) for command in commands]
        self.now += sum("error" not in answer for answer in answers) * self.write
        return answers

    def _answer(self, command: Command) -> dict[str, Any]:
        there = command.target in self.there
        fails = (command.name, there) in {("createRole", True), ("modifyRole", False)}
        return {"error": command.tolerates[0]} if fails else {}


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Broker]:
    """The broker that an adapter speaks to."""

    def made(write: float, there: dict[str, Any] | None = None) -> Broker:
        broker = Broker(write, there or {})

        @contextmanager
        def control(_connection: object) -> Iterator[Broker]:
            yield broker

        monkeypatch.setattr("brokers.adapters.mosquitto_dynsec.control", control)
        monkeypatch.setattr("brokers.adapters.mosquitto_dynsec.time.monotonic", lambda: broker.now)
        monkeypatch.setattr("brokers.adapters.mosquitto_dynsec.time.sleep", broker.pauses.append)
        return broker

    return made


@pytest.mark.parametrize(
    ("write", "batches"),
    [(1 / 16, [1] * 45), (1 / 64, [1, *[3] * 14, 2]), (1 / 512, [1, 20, 20, 4])],
)
def test_it_gets_one_and_then_what_it_does_in_50_ms(
    write: float, batches: list[int], holding: Callable[..., Broker]
) -> None:
    broker = holding(write)
    MosquittoDynsecAdapter(link=LINK).apply(STEPS, between=lambda: None)
    assert [len(batch) for batch in broker.seen] == batches
    assert len(broker.pauses) == len(batches) - 1  # none behind the last


def test_roles_that_others_have_are_written_only_if_they_are_not_as_they_should_be(
    holding: Callable[..., Broker],
) -> None:
    adapter = MosquittoDynsecAdapter(link=LINK)
    desired = DesiredState(subjects=(subject("p-1", UP, ALL),), only=frozenset({"p-1"}))
    steps = adapter.plan(desired, AppliedState(artifact="", only=desired.only))
    right = {"rolename": "gh.r.pump.deny", "acls": []}
    broker = holding(1 / 16, {"gh.r.pump.deny": right, "gh.r.pump.allow": {"rolename": "gh.r.pump.allow", "acls": []}})
    adapter.apply(steps, between=lambda: None)
    assert broker.seen == [
        ["createRole gh.d.p-1.allow"],
        ["modifyRole gh.r.pump.allow"],  # it is there, and not as it should be
        ["createRole gh.r.pump.allow"],  # fails, and says nothing of how long a write takes
        ["createRole gh.r.pump.deny"],
        ["createClient p-1"],
    ]
    assert broker.now == 3 / 16
