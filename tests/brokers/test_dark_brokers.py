"""Brokers that take a connection and say nothing, or too late, beside one that answers: a worker, thread by thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connections

from brokers import models, queries, services
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AdapterKind, BrokerId, Listener, SyncState
from console.processes import THREADS
from devices import services as devices
from kernel.core.clock import utc_now
from kernel.core.journal import Queue, StepState
from kernel.models import Wakeup
from kernel.services import sweep
from pki.core.values import ReasonCode
from tests.brokers.conftest import Hall, make_hall
from tests.brokers.device import wait_until
from tests.brokers.fleet import Fleet
from tests.cast import ADA
from tests.servers import free_port

Darken = Callable[[int], list[BrokerId]]


@pytest.fixture
def hall(transactional_db: None, tmp_path: Path, home: Path) -> Iterator[Hall]:
    made = make_hall(Fleet(tmp_path), home)
    yield made
    made.live.stop()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections are made there, and nobody ever reads from them."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def darken(hall: Hall, silent_port: int) -> Darken:
    """Registers so many brokers of the hall's domain that are silent, each with a policy; by name before the hall."""

    def darken(count: int) -> list[BrokerId]:
        for number in range(count):
            services.register_broker(
                domain=hall.fleet.domain.id,
                name=f"dark-{number}",
                kind=AdapterKind.MOSQUITTO_DYNSEC,
                connection={**hall.live.connection, "port": silent_port},
                listeners=[Listener(host="127.0.0.1", port=8883)],
                actor=ADA,
                now=utc_now(),
            )
        dark = models.Broker.objects.exclude(id=hall.broker.id)
        dark.update(managed_since=utc_now())
        return [BrokerId(key) for key in dark.values_list("id", flat=True)]

    return darken


@pytest.fixture
def spoken_to(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BrokerId]]:
    """The brokers that a thread speaks to; it stays with one that is silent until the test is over."""
    now: list[BrokerId] = []
    over = threading.Event()

    def watched(service: Callable[..., Any]) -> Callable[..., Any]:
        def call(*, broker: BrokerId, **facts: Any) -> Any:
            now.append(broker)
            try:
                return service(broker=broker, **facts)
            except BrokerUnreachable:
                over.wait(90)
                raise
            finally:
                now.remove(broker)

        return call

    for name in ("evict", "disconnect"):
        monkeypatch.setattr(services, name, watched(getattr(services, name)))
    yield now
    over.set()


@pytest.fixture
def worker(hall: Hall, silent_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Starts the revocation worker's threads, and beat's sweep, with what is recorded from then on."""
    current_app.loader.import_default_modules()
    pool, stop = ThreadPoolExecutor(max_workers=THREADS), threading.Event()

    def run(name: str, wakeup: int) -> None:
        try:
            if not stop.is_set():
                current_app.tasks[name](wakeup=wakeup)
        finally:
            connections.close_all()

    def send_task(name: str, *, kwargs: dict[str, int], queue: str, **_: Any) -> None:
        if queue == Queue.REVOCATION and not stop.is_set():
            pool.submit(run, name, kwargs["wakeup"])

    def sweep_for_ever() -> None:
        while not stop.wait(0.5):
            sweep(now=utc_now())
        connections.close_all()

    def start() -> None:
        Wakeup.objects.all().delete()
        monkeypatch.setattr(current_app, "send_task", send_task)
        sweeper.start()

    sweeper = threading.Thread(target=sweep_for_ever)
    yield start
    stop.set()
    sweeper.join()
    pool.shutdown()


def state_at_the_hall() -> str:
    return Wakeup.objects.get(task="brokers.evict", target="broker:hall-7").state


@pytest.mark.several_writers
def test_eviction_does_not_wait_for_three_silent_brokers(
    hall: Hall, darken: Darken, worker: Callable[[], None], spoken_to: list[BrokerId]
) -> None:
    one, other = hall.fleet.enroll("p-1"), hall.fleet.enroll("p-2")
    hall.plan_and_apply()
    live = hall.device(one)
    assert live.connect()
    dark = darken(3)
    worker()
    for broker in dark:
        services.order_disconnect(broker=broker, device=other.id, actor=ADA, now=utc_now())
    devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    assert wait_until(lambda: live.ended)
    assert wait_until(lambda: state_at_the_hall() == StepState.DONE)
    assert wait_until(lambda: sorted(spoken_to) == sorted([*dark, *dark])), "each of them holds two threads"
    live.close()


@pytest.mark.several_writers
def test_brokers_that_are_known_to_be_dark_take_no_more_than_their_threads(
    hall: Hall, darken: Darken, worker: Callable[[], None], spoken_to: list[BrokerId]
) -> None:
    one = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    dark = darken(THREADS + 4)
    models.Broker.objects.filter(id__in=dark).update(sync=SyncState.UNREACHABLE)
    worker()
    devices.revoke_device(device=one.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    assert wait_until(lambda: state_at_the_hall() == StepState.DONE)
    assert wait_until(lambda: len(spoken_to) > 0)
    assert len(spoken_to) <= THREADS // 2


@pytest.mark.django_db
def test_broker_that_takes_no_connection_is_not_spoken_to(fleet: Fleet) -> None:
    broker = services.register_broker(
        domain=fleet.domain.id,
        name="hall-7",
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": free_port(), "username": "a", "password": "b"},
        listeners=[Listener(host="127.0.0.1", port=8883)],
        actor=ADA,
        now=utc_now(),
    ).id
    with services.knocking(broker=broker, now=utc_now()):
        pass  # it answered last time, or nobody asked yet
    models.Broker.objects.update(sync=SyncState.UNREACHABLE)
    for _ in range(2 * THREADS):  # no thread is lost by it
        with (
            pytest.raises(BrokerUnreachable, match="takes a connection"),
            services.knocking(broker=broker, now=utc_now()),
        ):
            pytest.fail("it was spoken to")
    assert "takes a connection" in queries.get_broker(id=broker).detail
    assert queries.get_broker(id=broker).checked_at is not None


def visited(brokers: Sequence[BrokerId], *, quick: str) -> list[BrokerId]:
    """Those of them that are spoken to, all at the same time."""
    found = []
    with ExitStack() as spoken_to:
        for broker in brokers:
            with suppress(BrokerUnreachable):
                spoken_to.enter_context(services.knocking(broker=broker, now=utc_now(), quick=quick))
                found.append(broker)
    return found


def make_dark(_brokers: Sequence[BrokerId]) -> None:
    models.Broker.objects.update(sync=SyncState.UNREACHABLE)


def make_slow(brokers: Sequence[BrokerId]) -> None:
    """At evictions; what else is done there tells nothing of these."""
    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr(import_module("brokers.services.knocking"), "_SLOW_SECONDS", -1.0)
        assert visited(brokers, quick="evict") == brokers, "nothing was known of them"
    for what in ("push_crl", ""):
        assert visited(brokers, quick=what) == brokers


@pytest.mark.django_db
@pytest.mark.parametrize("make", [make_dark, make_slow])
def test_such_brokers_of_one_domain_keep_nobody_from_those_of_another(
    fleet: Fleet, silent_port: int, make: Callable[[Sequence[BrokerId]], None]
) -> None:
    south = devices.create_domain(slug="south", name="South", actor=ADA, now=utc_now()).id
    domains = [south] * THREADS + [fleet.domain.id]
    brokers = [
        services.register_broker(
            domain=domain,
            name=f"dark-{number}",
            kind=AdapterKind.MOSQUITTO_DYNSEC,
            connection={"host": "127.0.0.1", "port": silent_port, "username": "a", "password": "b"},
            listeners=[Listener(host="127.0.0.1", port=8883)],
            actor=ADA,
            now=utc_now(),
        ).id
        for number, domain in enumerate(domains)
    ]
    make(brokers)
    found = visited(brokers, quick="evict")
    assert 1 < len(found) < THREADS // 2
    assert brokers[-1] in found
