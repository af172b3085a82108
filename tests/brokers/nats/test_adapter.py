"""The adapter against a real server whose callout a doorman answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from threading import Event, Thread

import pytest

from acl.core.values import Action, BoundRule, Effect, Principal, Retain, Rule, RuleId, Shared
from brokers.adapters import nats_system
from brokers.adapters.nats import NatsAdapter
from brokers.core.nats.policy import permissions
from brokers.core.ports import BrokerUnreachable, DesiredState, RenderSubject, Standing
from brokers.core.values import AccessKind, BrokerEvent, Connection
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.brokers.hearing import events_in
from tests.brokers.nats.conftest import Open
from tests.brokers.nats.server import Doorman, LiveNats
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


def principal(name: str) -> Principal:
    return Principal(
        id=name,
        auth_id=name,
        client_id=name,
        username=name,
        domain="north",
        device_type="pump",
        groups=(),
        attributes={},
        certificate=None,
    )


def subject(name: str, topic: str = "north/${client_id}/up/#", state: Standing = Standing.ADMITTED) -> RenderSubject:
    """A device that may publish to the topic."""
    rule = Rule(
        id=RuleId(new_id()),
        effect=Effect.ALLOW,
        actions=frozenset({Action.PUBLISH}),
        topic=topic,
        qos=frozenset({0, 1, 2}),
        retain=Retain.ANY,
        shared=Shared.ANY,
        shared_group=None,
    )
    policy = (BoundRule(rule=rule, role_name="pump", binding=None),) if state is Standing.ADMITTED else ()
    return RenderSubject(principal=principal(name), policy=policy, state=state)


@pytest.fixture
def doorman(nats: LiveNats) -> Iterator[Doorman]:
    """Grants what `subject` says."""
    with Doorman(nats, lambda asked: permissions(subject(asked.client_id))) as doorman:
        yield doorman


@pytest.fixture
def adapter(nats: LiveNats) -> NatsAdapter:
    return NatsAdapter(link=nats.link)


def test_connections_are_read_with_their_grants(adapter: NatsAdapter, doorman: Doorman, device: Open) -> None:
    assert device("pump-1").connect()
    assert device("pump-2").connect()
    whole, one, none = adapter.read(), adapter.read(only=frozenset({"pump-2"})), adapter.read(only=frozenset())
    assert [held["auth_id"] for held in json.loads(whole.artifact)] == ["pump-1", "pump-2"]
    assert [held["auth_id"] for held in json.loads(one.artifact)] == ["pump-2"]
    assert json.loads(none.artifact) == []
    assert {found.version for found in (whole, one, none)} == {"2.15.1"}


def test_right_grants_need_no_step(adapter: NatsAdapter, doorman: Doorman, device: Open) -> None:
    assert device("pump-1").connect()
    desired = DesiredState(subjects=(subject("pump-1"), subject("pump-2")))
    assert adapter.plan(desired, adapter.read()) == ()


@pytest.mark.parametrize(
    "now",
    [
        (subject("pump-1"), subject("pump-2", "north/other/#")),
        (subject("pump-1"), subject("pump-2", state=Standing.BARRED)),
        (subject("pump-1"), subject("pump-2", state=Standing.ABSENT)),
        (subject("pump-1"),),
    ],
    ids=["changed", "barred", "absent", "unknown"],
)
def test_connection_whose_grant_is_no_longer_right_is_closed(
    adapter: NatsAdapter, doorman: Doorman, device: Open, now: tuple[RenderSubject, ...]
) -> None:
    one, two = device("pump-1"), device("pump-2")
    assert one.connect()
    assert two.connect()
    steps = adapter.plan(DesiredState(subjects=now), adapter.read())
    assert [step.target for step in steps] == ["pump-2"]
    adapter.apply(steps, between=lambda: None)
    assert two.wait_closed()
    assert not one.wait_closed(seconds=0.3)
    wait_until(lambda: adapter.plan(DesiredState(subjects=now), adapter.read()) == (), what="it is gone from the list")


def test_a_loss_between_batches_ends_the_work(adapter: NatsAdapter, doorman: Doorman, device: Open) -> None:
    pump = device("pump-1")
    assert pump.connect()
    steps = adapter.plan(DesiredState(subjects=()), adapter.read())

    def lost() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        adapter.apply(steps, between=lost)
    assert not pump.wait_closed(seconds=0.3)


def test_steps_of_an_earlier_server_close_nobody_else(
    adapter: NatsAdapter, nats: LiveNats, doorman: Doorman, device: Open
) -> None:
    """Connection numbers begin anew with each start of the server."""
    assert device("pump-1").connect()
    steps = adapter.plan(DesiredState(subjects=()), adapter.read())
    stranger = [replace(step, payload=f"NSOMEOTHERSERVER {step.payload.split()[1]}") for step in steps]
    adapter.apply(stranger, between=lambda: None)
    assert len(json.loads(adapter.read().artifact)) == 1


def test_disconnect_closes_one(adapter: NatsAdapter, doorman: Doorman, device: Open) -> None:
    one, two = device("pump-1"), device("pump-2")
    assert one.connect()
    assert two.connect()
    assert adapter.disconnect(principal("pump-1")) == 1
    assert one.wait_closed()
    assert not two.wait_closed(seconds=0.3)


def test_disconnect_of_nobody_closes_nobody(adapter: NatsAdapter, doorman: Doorman, device: Open) -> None:
    pump = device("pump-1")
    assert pump.connect()
    assert adapter.disconnect(principal("pump-2")) == -1
    assert not pump.wait_closed(seconds=0.3)


def test_every_page_is_read(
    adapter: NatsAdapter, doorman: Doorman, device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_system, "PAGE", 2)
    for number in range(5):
        assert device(f"pump-{number}").connect()
    assert len(json.loads(adapter.read().artifact)) == 5
    assert sorted(event.client_id for event in adapter.present()) == [f"pump-{number}" for number in range(5)]


def watched(adapter: NatsAdapter, stop: Event) -> tuple[Thread, list[BrokerEvent | None]]:
    seen: list[BrokerEvent | None] = []

    def listen() -> None:
        with suppress(BrokerUnreachable):
            seen.extend(item for item in adapter.watch(stop) if item is None or isinstance(item, BrokerEvent))

    thread = Thread(target=listen)
    thread.start()
    wait_until(lambda: None in seen, what="the adapter listens")
    return thread, seen


def test_comings_and_goings_are_told(adapter: NatsAdapter, doorman: Doorman, device: Open) -> None:
    stop = Event()
    thread, seen = watched(adapter, stop)
    pump = device("pump-1")
    assert pump.connect()
    [listed] = adapter.present()
    adapter.disconnect(principal("pump-1"))
    assert pump.wait_closed()
    wait_until(lambda: len([e for e in seen if e]) == 2, what="both events")
    stop.set()
    thread.join(90)
    assert not thread.is_alive()
    came, went = (event for event in seen if event)
    assert came == listed
    assert (came.kind, came.auth_id, came.client_id, came.address) == (
        AccessKind.CONNECTED, "pump-1", "pump-1", "127.0.0.1",
    )  # fmt: skip
    assert abs((came.at - utc_now()).total_seconds()) < 600
    assert (went.kind, went.auth_id, went.connection_id, went.detail) == (
        AccessKind.DISCONNECTED, "pump-1", came.connection_id, "Kicked",
    )  # fmt: skip


def test_what_is_told_while_nobody_takes_is_heard(
    adapter: NatsAdapter, nats: LiveNats, doorman: Doorman, device: Open
) -> None:
    feed = adapter.watch(Event())
    assert next(feed) is None
    pump = device("pump-1")
    assert pump.connect()
    pump.close()
    time.sleep(1.0)
    nats.stop()
    assert [event.kind for event in events_in(feed)] == [AccessKind.CONNECTED, AccessKind.DISCONNECTED]


def test_attempt_to_get_in_as_one_of_us_is_told(adapter: NatsAdapter, nats: LiveNats, doorman: Doorman) -> None:
    stop = Event()
    thread, seen = watched(adapter, stop)
    with socket.create_connection(("127.0.0.1", nats.client_port), timeout=60) as wire:
        wire.recv(4096)
        wire.sendall(b'CONNECT {"user":"test-system","pass":"guessed-in-clear","verbose":false}\r\nPING\r\n')
        assert b"Authorization Violation" in wire.recv(4096)
    wait_until(lambda: any(seen), what="the refusal is told")
    stop.set()
    thread.join(90)
    [refusal] = [event for event in seen if event]
    assert (refusal.kind, refusal.address) == (AccessKind.REFUSED, "127.0.0.1")
    assert "test-system" in refusal.detail
    assert "guessed-in-clear" not in repr(refusal) + nats.log()


def test_watching_ends_with_the_server(adapter: NatsAdapter, nats: LiveNats, doorman: Doorman) -> None:
    thread, _ = watched(adapter, Event())
    nats.stop()
    thread.join(90)
    assert not thread.is_alive()


def test_watching_ends_when_the_server_falls_silent(
    adapter: NatsAdapter, nats: LiveNats, doorman: Doorman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_system, "PING_SECONDS", 0.5)
    thread, _ = watched(adapter, Event())
    nats.pause()
    thread.join(90)
    assert not thread.is_alive()


def test_server_that_is_down_is_unreachable(adapter: NatsAdapter, nats: LiveNats) -> None:
    nats.stop()
    for call in (adapter.read, adapter.present, lambda: adapter.disconnect(principal("pump-1"))):
        with pytest.raises(BrokerUnreachable):
            call()


def test_server_that_falls_silent_is_unreachable_in_time(adapter: NatsAdapter, nats: LiveNats) -> None:
    nats.pause()
    began = time.monotonic()
    with pytest.raises(BrokerUnreachable):
        adapter.read()
    assert time.monotonic() - began < 30  # the adapter gives up within a few seconds


def test_port_of_something_else_is_unreachable_in_time(nats: LiveNats) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        connection = Connection({**nats.connection, "port": other.getsockname()[1]})
        adapter = NatsAdapter(link=replace(nats.link, connection=connection))
        began = time.monotonic()
        with pytest.raises(BrokerUnreachable):
            adapter.read()
        assert time.monotonic() - began < 30  # the adapter gives up within a few seconds


def test_wrong_password_is_unreachable(nats: LiveNats) -> None:
    connection = Connection({**nats.connection, "system_password": "wrong"})
    with pytest.raises(BrokerUnreachable) as caught:
        NatsAdapter(link=replace(nats.link, connection=connection)).read()
    assert "wrong" not in str(caught.value)
