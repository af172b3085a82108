"""Policy pushed to a real Mosquitto with dynamic security: first apply, an edited role, revocations of live devices.

Reach: the broker answers a PINGREQ within 100 ms all along, an edit is applied within 2 s, a session is closed within
500 ms (p95), also while a bulk job writes to the broker, which gives way between two batches as the lease makes it do.
That is the adapter alone; through the services (journal, outbox, worker, lease) the same is asked of a broker that is
checked all the while.
Beside it stands what one write costs the plugin itself, which writes its whole file for each command, and what it costs
with less in that file: `physical`. The brokers keep their memory, as docs/howto/mosquitto.md says for many devices.
"""

from __future__ import annotations

import math
import queue
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from acl.core.values import BoundRule, Principal
from bench.push_certificates import Authority
from bench.push_services import service
from bench.push_sessions import sessions, stopwatch
from bench.push_writes import KEEPS_MEMORY, costs_in_turn, names_alone, own_rules_alone
from brokers.adapters.mosquitto_dynsec import MosquittoDynsecAdapter
from brokers.core.mosquitto.conf import DYNSEC_FILE
from brokers.core.mosquitto.dynsec import desired_state
from brokers.core.mosquitto.dynsec_first_file import merged
from brokers.core.mosquitto.dynsec_state import to_artifact
from brokers.core.ports import DesiredState, RenderSubject, Standing, Step
from brokers.core.values import AdapterKind
from tests.brokers.links import broker_link
from tests.brokers.mosquitto import ADMIN, PASSWORD, LiveMosquitto
from tests.brokers.subjects import PUBLISH, SUBSCRIBE, rule, subject

DEVICES, LIVE, REVOKED, HALLS = 10_000, 2_000, 40, 200
FIRST = (250, 500, 1_000)
FILES = (1_000, 10_000, 50_000)
BULK = 100_000
_CLOSED_SECONDS = 30.0
_CHECK_SECONDS = 3.0

_Revoke = Callable[[RenderSubject], float]
"""Revokes one, and says when that began, in monotonic seconds."""

_PUMP = (
    rule("allow", PUBLISH, "${domain}/${client_id}/up/#"),
    rule("allow", SUBSCRIBE, "${domain}/${client_id}/down/#"),
    rule("allow", SUBSCRIBE, "${domain}/all/#"),
)


class _Enough(Exception):
    """The bulk job has served its purpose."""


def measure() -> dict[str, Any]:
    """Seconds and milliseconds on the clock; `blocked` is the longest wait for a PINGRESP."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        return {
            "devices": DEVICES,
            "live_sessions": LIVE,
            "first_apply_by_commands": _first_applies(Path(folder), authority),
            "first_apply_by_file": _first_files(Path(folder), authority),
            **_among_many(Path(folder), authority),
            "revocations_through_services": _through_services(Path(folder), authority),
        }


def fleet(first: int, last: int) -> list[RenderSubject]:
    """Devices with two rules of their own and two that others have as well."""
    return [subject(f"p-{number}", *_PUMP, _hall_rule(number % HALLS)) for number in range(first, last)]


@cache
def _hall_rule(number: int) -> BoundRule:
    return rule("allow", SUBSCRIBE, f"north/hall-{number}/#", role=f"hall-{number}")


def _first_applies(folder: Path, authority: Authority) -> dict[str, Any]:
    """A broker that holds nothing, brought to so many devices by commands."""
    seconds, blocked = [], []
    for size in FIRST:
        with _broker(folder / f"first-{size}", authority) as broker:
            adapter = MosquittoDynsecAdapter(link=broker_link(AdapterKind.MOSQUITTO_DYNSEC, broker.connection))
            with _waits(broker) as longest:
                seconds.append(_bring_to(adapter, DesiredState(subjects=tuple(fleet(0, size))))[1])
                blocked.append(longest())
    exponent = math.log(seconds[-1] / seconds[0]) / math.log(FIRST[-1] / FIRST[0])
    return {
        "devices": list(FIRST),
        "seconds": [round(each, 2) for each in seconds],
        "exponent": round(exponent, 2),
        "blocked": blocked,
    }


def _first_files(folder: Path, authority: Authority) -> dict[str, Any]:
    """A broker that starts with the file: until it listens, and until all of it was read back and found right."""
    listening, verified = [], []
    for size in FILES:
        devices = fleet(0, size)
        began = time.monotonic()
        with _broker(folder / f"file-{size}", authority, holding=_artifact(devices)) as broker:
            listening.append(round(time.monotonic() - began, 2))
            adapter = MosquittoDynsecAdapter(link=broker_link(AdapterKind.MOSQUITTO_DYNSEC, broker.connection))
            if adapter.plan(DesiredState(subjects=tuple(devices)), adapter.read()):
                raise RuntimeError("The broker does not hold what its file says.")
            verified.append(round(time.monotonic() - began, 2))
    return {"devices": list(FILES), "listening_seconds": listening, "verified_seconds": verified}


def _among_many(folder: Path, authority: Authority) -> dict[str, Any]:
    devices = fleet(0, DEVICES)
    victims = devices[: 2 * REVOKED]
    found: dict[str, Any] = {}
    with _broker(folder / "many", authority, holding=_artifact(devices)) as broker:
        many = _bulk_steps(broker)
        for one in devices[:LIVE]:
            authority.make(one.principal.auth_id)
        adapter = MosquittoDynsecAdapter(link=broker_link(AdapterKind.MOSQUITTO_DYNSEC, broker.connection))
        names = [one.principal.auth_id for one in devices[:LIVE]]
        with (
            sessions(authority.folder, broker.device_port, names) as ended,
            _waits(broker) as longest,
        ):
            time.sleep(1)
            found["blocked_by_nothing"] = longest()
            found["write_of_the_plugin"] = {
                **_writes(folder, authority, broker, devices),
                "blocked": longest(),
            }
            found["edit_of_a_role"] = _edit(adapter, devices, longest)
            alone = _by_adapter(adapter, threading.Event())
            found["revocations"] = _revocations(victims[:REVOKED], alone, ended, longest)
            longest()
            with _bulk(adapter, many) as (yielding, written):
                beside = _by_adapter(adapter, yielding)
                found["revocations_beside_a_bulk_job"] = _revocations(victims[REVOKED:], beside, ended, longest)
            found["revocations_beside_a_bulk_job"]["batches_of_the_bulk_job"] = written()
    return found


def _writes(
    folder: Path, authority: Authority, ours: LiveMosquitto, devices: Sequence[RenderSubject]
) -> dict[str, Any]:
    """One write with our devices, and with less of each than would do."""
    all_of_it = desired_state(devices)
    with (
        _broker(folder / "own", authority, holding=to_artifact(own_rules_alone(all_of_it))) as own,
        _broker(folder / "names", authority, holding=to_artifact(names_alone(all_of_it))) as names,
    ):
        brokers = {"ours": ours, "physical_with_their_own_rules": own, "physical_with_names_alone": names}
        return costs_in_turn(brokers)


def _waits(broker: LiveMosquitto) -> Any:
    assert broker.process is not None
    return stopwatch(broker.control_port, broker.process.pid, ADMIN, PASSWORD)


def _edit(adapter: MosquittoDynsecAdapter, devices: Sequence[RenderSubject], longest: Any) -> dict[str, Any]:
    """One rule more in a role that every device has."""
    more = rule("allow", SUBSCRIBE, "${domain}/news/#")
    edited = DesiredState(subjects=tuple(replace(one, policy=(*one.policy, more)) for one in devices))
    used = time.process_time()
    written, verified = _bring_to(adapter, edited)
    return {
        "applied_seconds": round(written, 2),
        "verified_seconds": round(verified, 2),
        "our_cpu_seconds": round(time.process_time() - used, 2),
        "blocked": longest(),
    }


def _by_adapter(adapter: MosquittoDynsecAdapter, urgent: threading.Event) -> _Revoke:
    """Barred, read back, and closed, as an eviction does it."""

    def revoke(one: RenderSubject) -> float:
        barred = replace(one, policy=(), state=Standing.BARRED)
        began = time.monotonic()
        urgent.set()
        _bring_to(adapter, DesiredState(subjects=(barred,), only=frozenset({one.principal.auth_id})))
        adapter.disconnect(one.principal)
        urgent.clear()
        return began

    return revoke


def _revocations(
    victims: Sequence[RenderSubject], revoke: _Revoke, ended: Any, longest: Any, *, rest: float = 0
) -> dict[str, Any]:
    """One after another, with some 50 ms between them, and up to so many seconds more."""
    times = []
    for one in victims:
        began = revoke(one)
        times.append((_closed_at(ended, one.principal) - began) * 1000)
        time.sleep(0.05 + random.uniform(0, rest))
    times.sort()
    return {
        "count": len(times),
        "closed_ms": {"p50": round(statistics.median(times)), "p95": round(times[int(0.95 * len(times))])},
        "blocked": longest(),
    }


def _through_services(folder: Path, authority: Authority) -> dict[str, Any]:
    """The same number of devices, and of sessions, at a broker of an installation that checks it all the while."""
    devices = fleet(0, DEVICES)
    names = [one.principal.auth_id for one in devices[:LIVE]]
    with (
        service(folder / "home", devices=DEVICES, halls=HALLS) as installed,
        _broker(folder / "served", authority, holding=installed.first_file) as broker,
    ):
        installed.register(broker.connection)
        with (
            sessions(authority.folder, broker.device_port, names) as ended,
            _waits(broker) as longest,
            installed.working() as revoke,
        ):

            def by_services(one: RenderSubject) -> float:
                return revoke(one.principal.auth_id)

            by_services(devices[0])  # the worker may still be starting
            _closed_at(ended, devices[0].principal)
            longest()
            found = {"alone": _revocations(devices[1 : REVOKED + 1], by_services, ended, longest)}
            with installed.checking() as checks:
                beside = devices[REVOKED + 1 : 2 * REVOKED + 1]
                found["beside_checks"] = _revocations(beside, by_services, ended, longest, rest=_CHECK_SECONDS)
            found["beside_checks"]["checks"] = checks
    return found


def _closed_at(ended: Any, principal: Principal) -> float:
    while True:
        try:
            name, moment = ended.get(timeout=_CLOSED_SECONDS)
        except queue.Empty as error:
            raise RuntimeError(f"The session of {principal.auth_id} was not closed.") from error
        if name == principal.auth_id:
            return float(moment)


def _bulk_steps(broker: LiveMosquitto) -> tuple[Step, ...]:
    """What adds very many devices to those that there are."""
    adapter = MosquittoDynsecAdapter(link=broker_link(AdapterKind.MOSQUITTO_DYNSEC, broker.connection))
    added = DesiredState(subjects=tuple(fleet(DEVICES, DEVICES + BULK)), only=frozenset())
    return adapter.plan(added, adapter.read(only=frozenset()))


@contextmanager
def _bulk(adapter: MosquittoDynsecAdapter, steps: Sequence[Step]) -> Iterator[tuple[threading.Event, Any]]:
    """They are made all the while, but not while the event is set; beside it how many batches were begun."""
    urgent, enough, batches = threading.Event(), threading.Event(), 0

    def between() -> None:
        nonlocal batches
        if enough.is_set():
            raise _Enough
        while urgent.is_set():
            time.sleep(0.005)
        batches += 1

    def work() -> None:
        with suppress(_Enough):
            adapter.apply(steps, between=between)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield urgent, lambda: batches
    finally:
        enough.set()
        thread.join(60)


def _bring_to(adapter: MosquittoDynsecAdapter, desired: DesiredState) -> tuple[float, float]:
    """Seconds to read, compare and write; and with reading back."""
    began = time.monotonic()
    adapter.apply(adapter.plan(desired, adapter.read(only=desired.only)), between=lambda: None)
    written = time.monotonic() - began
    if adapter.plan(desired, adapter.read(only=desired.only)):
        raise RuntimeError("The broker did not take what was written.")
    return written, time.monotonic() - began


def _artifact(devices: Sequence[RenderSubject]) -> str:
    return to_artifact(desired_state(devices))


@contextmanager
def _broker(
    folder: Path,
    authority: Authority,
    *,
    holding: str = "",
) -> Iterator[LiveMosquitto]:
    """A broker that is called localhost and holds that artifact from its first file."""
    broker = LiveMosquitto(folder, environment=KEEPS_MEMORY)
    chain, key = authority.server()
    broker.prepare(client_ca=authority.certificate, crl=authority.crl(), server_chain=chain, server_key=key)
    if holding:
        path = folder / DYNSEC_FILE
        path.write_text(merged(path.read_text(), holding, control=ADMIN))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
