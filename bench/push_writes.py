"""What one write of Mosquitto's plugin costs: with our devices in its file, and with less than would do for them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench.push_sessions import cpu_seconds
from brokers.adapters.mosquitto_control import ControlConnection, control
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.mosquitto.dynsec import is_own_role
from brokers.core.mosquitto.dynsec_changes import Command
from brokers.core.mosquitto.dynsec_state import DynsecClient, DynsecState
from tests.brokers.mosquitto import LiveMosquitto

# As docs/howto/mosquitto.md has it for many devices.
KEEPS_MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=536870912:glibc.malloc.mmap_threshold=33554432:glibc.malloc.mxfast=0"
}
_TIMES = 20


def own_rules_alone(state: DynsecState) -> DynsecState:
    """Each device with its name and the rules that nobody else has, and nothing that is shared."""
    roles = {name: acls for name, acls in state.roles.items() if is_own_role(name)}
    clients = {
        name: _with(client, [each for each in client.roles if each[0] in roles])
        for name, client in state.clients.items()
    }
    return replace(state, clients=clients, roles=roles)


def names_alone(state: DynsecState) -> DynsecState:
    """Each device with its name and nothing else: none of them may do anything."""
    return replace(state, clients={name: _with(client, []) for name, client in state.clients.items()}, roles={})


def _with(client: DynsecClient, roles: Sequence[tuple[str, int]]) -> DynsecClient:
    return DynsecClient(username=client.username, roles=tuple(roles))


def costs_in_turn(brokers: Mapping[str, LiveMosquitto]) -> dict[str, dict[str, float]]:
    """A command that changes a text, twenty times to each: milliseconds until its answer, and of the broker's CPU."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in brokers}
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(control(MosquittoConnection.of(broker.connection)))
            for name, broker in brokers.items()
        }
        for number in range(_TIMES):
            for name, broker in brokers.items():
                times[name].append(_write(opened[name], broker, number))
    return {name: _summary(found) for name, found in times.items()}


def _write(administrator: ControlConnection, broker: LiveMosquitto, number: int) -> tuple[float, float]:
    assert broker.process is not None
    began, used = time.monotonic(), cpu_seconds(broker.process.pid)
    members = {"rolename": "admin", "textname": f"bench {number}"}
    administrator.ask([Command(name="modifyRole", target="admin", summary="", members=members)])
    return (time.monotonic() - began) * 1000, (cpu_seconds(broker.process.pid) - used) * 1000


def _summary(found: list[tuple[float, float]]) -> dict[str, float]:
    clock, cpu = zip(*found, strict=True)
    return {
        "ms": round(statistics.median(clock), 1),
        "cpu_ms": round(statistics.median(cpu), 1),
        "least_cpu_ms": round(min(cpu), 1),
    }
