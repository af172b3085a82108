"""How many commands Mosquitto gets at once: it answers nobody while it writes its whole file for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from brokers.adapters.mosquitto_dynsec import MosquittoDynsecAdapter
from brokers.core.mosquitto.dynsec_changes import Command
from brokers.core.ports import Step
from brokers.core.values import AdapterKind
from tests.brokers.links import broker_link

LINK = broker_link(AdapterKind.MOSQUITTO_DYNSEC, {"host": "127.0.0.1", "port": 1, "username": "g", "password": "p"})
PAYLOAD = '{"members": {}, "tolerates": []}'
STEPS = [Step(kind="createRole", target=str(number), summary="", payload=PAYLOAD) for number in range(45)]


@pytest.mark.parametrize(
    ("write", "batches"),
    [(1 / 16, [1] * 45), (1 / 64, [1, *[3] * 14, 2]), (1 / 512, [1, 20, 20, 4])],
)
def test_it_gets_one_and_then_what_it_does_in_50_ms(
    write: float, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, seen, pauses = 0.0, list[int](), list[float]()

    class Broker:
        def ask(self, commands: Sequence[Command]) -> None:
            nonlocal now
            now += len(commands) * write
            seen.append(len(commands))

    @contextmanager
    def control(_connection: object) -> Iterator[Broker]:
        yield Broker()

    monkeypatch.setattr("brokers.adapters.mosquitto_dynsec.control", control)
    monkeypatch.setattr("brokers.adapters.mosquitto_dynsec.time.monotonic", lambda: now)
    monkeypatch.setattr("brokers.adapters.mosquitto_dynsec.time.sleep", pauses.append)
    MosquittoDynsecAdapter(link=LINK).apply(STEPS, between=lambda: None)
    assert seen == batches
    assert len(pauses) == len(batches) - 1  # none behind the last
