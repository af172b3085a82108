"""No adapter connects to an address where there is never a broker, whatever name leads there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from threading import BoundedSemaphore, Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from pytest_django import Settings

from brokers.adapters import dialing
from brokers.adapters.dialing import DialedHttp, NeverABroker, addresses_of, dial
from brokers.adapters.listener_probe import SILENT, observe
from brokers.conf import adapter_class
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AdapterKind, Broker, BrokerId, BrokerLink, Connection, Listener, SyncState
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId, new_id
from tests.servers import free_port

Lookup = Callable[..., None]
ACCOUNT = {"host": "mq.example", "port": 1, "username": "u", "password": "p"}
NATS = {"system_user": "s", "system_password": "p", "callout_user": "c", "callout_password": "p", "account": "A"}


@pytest.fixture
def leads_to(monkeypatch: pytest.MonkeyPatch) -> Lookup:
    """What every name leads to."""

    def set_addresses(*addresses: str) -> None:
        def look_up(_host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr("brokers.adapters.dialing.socket.getaddrinfo", look_up)

    return set_addresses


@pytest.fixture
def nobody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("it was connected to")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr("brokers.adapters.postgresql.BoundedConnection.connect", connect)


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (AdapterKind.MOSQUITTO_DYNSEC, ACCOUNT),
        (AdapterKind.RABBITMQ, ACCOUNT),
        (AdapterKind.EMQX, {"host": "mq.example", "port": 1, "api_key": "k", "api_secret": "s"}),
        (AdapterKind.NATS, {"host": "mq.example", "port": 1, "issuer_seed": "SA", **NATS}),
        (AdapterKind.GOAUTH_REDIS, ACCOUNT),
        (AdapterKind.GOAUTH_POSTGRESQL, ACCOUNT | {"database": "d"}),
        (AdapterKind.VERNEMQ_POSTGRESQL, ACCOUNT | {"database": "d"}),
        (AdapterKind.HIVEMQ_ESE_SQL, ACCOUNT | {"database": "d"}),
        (AdapterKind.HIVEMQ_ESE_SQL, ACCOUNT | {"database": "d", "dialect": "mysql"}),
        (AdapterKind.NANOMQ, ACCOUNT | {"files": {"directory": "d"}}),
        (AdapterKind.NATS_FILES, {"host": "mq.example", "port": 1, **NATS, "files": {"directory": "d"}}),
    ],
)
def test_adapter_does_not_connect_there(
    kind: AdapterKind,
    members: dict[str, Any],
    leads_to: Lookup,
    nobody_connects: None,
    settings: Settings,
    tmp_path: Path,
) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    (tmp_path / "brokers" / "d").mkdir(parents=True)
    leads_to("10.0.0.1", "169.254.169.254")
    with pytest.raises(NeverABroker, match=r"mq\.example is at an address where there is never a broker"):
        adapter_of(kind, members).read()


def adapter_of(kind: AdapterKind, members: dict[str, Any]) -> Any:
    broker = Broker(
        id=BrokerId(new_id()), domain=DomainId(new_id()), domain_slug="north", name="hall-7", kind=kind, listeners=(),
        sync=SyncState.UNKNOWN, detail="", version="", checked_at=None, last_seen_at=None, managed_since=None,
        converged_seq=0, created_at=utc_now(),
    )  # fmt: skip
    return adapter_class(kind)(link=BrokerLink(broker=broker, connection=Connection(members)))


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (AdapterKind.MOSQUITTO_DYNSEC, ACCOUNT),
        (AdapterKind.NATS, {"host": "mq.example", "port": 1, "issuer_seed": "SA", **NATS}),
        (AdapterKind.GOAUTH_REDIS, ACCOUNT),
        (AdapterKind.GOAUTH_REDIS, ACCOUNT | {"ca_pem": "x"}),
        (AdapterKind.RABBITMQ, ACCOUNT),
    ],
)
def test_name_that_leads_elsewhere_when_it_is_asked_again_is_not_followed(
    kind: AdapterKind, members: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, connected = ["10.0.0.1"], set()

    def look_up(host: str, port: int, *_: Any, flags: int = 0, **__: Any) -> list[Any]:
        if flags == socket.AI_NUMERICHOST and host == "mq.example":
            raise socket.gaierror
        address = answers.pop() if host == "mq.example" and answers else "169.254.169.254"
        address = host if host != "mq.example" else address
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(_: object, place: tuple[str, int]) -> None:
        connected.add(place[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(BrokerUnreachable):
        adapter_of(kind, members).read()
    assert connected == {"10.0.0.1"}


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(leads_to: Lookup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        leads_to("127.0.0.1")
        with dial("mq.example", port, timeout=30) as link:
            assert link.getpeername() == ("127.0.0.1", port)
        http = DialedHttp("mq.example", port, timeout=30)
        http.connect()
        http.close()


def test_the_next_address_is_tried_and_what_is_allowed_is_connected_to(leads_to: Lookup, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        leads_to("127.0.0.2", "127.0.0.1")
        with dial("mq.example", server.getsockname()[1], timeout=30) as link:
            assert link.getpeername()[0] == "127.0.0.1"
    leads_to("169.254.10.7")
    with pytest.raises(NeverABroker):
        addresses_of("mq.example", 1883)
    settings.GATEHOUSE_BROKER_NETWORKS = [ip_network("169.254.10.0/24")]
    assert addresses_of("mq.example", 1883) == ["169.254.10.7"]


def test_numbers_that_spell_an_address_are_one() -> None:
    """169.254.169.254 as one number, which every resolver takes."""
    with pytest.raises(NeverABroker):
        addresses_of("2852039166", 80)


def test_nobody_there_is_an_ordinary_fault() -> None:
    with pytest.raises(ConnectionRefusedError):
        dial("127.0.0.1", free_port(), timeout=30)
    assert issubclass(NeverABroker, BrokerUnreachable)


@pytest.fixture
def silent_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that answers nobody before the test is over."""
    over, look_up = Event(), socket.getaddrinfo

    def wait(host: str, port: int, *, type: int, flags: int = 0) -> list[Any]:
        if flags != socket.AI_NUMERICHOST:
            over.wait()
        return look_up(host, port, type=type, flags=socket.AI_NUMERICHOST)

    monkeypatch.setattr(dialing, "_free_lookups", BoundedSemaphore(2))
    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield
    over.set()
    for thread in enumerate_threads():
        if thread.name == "lookup":
            thread.join()


def test_name_that_nobody_tells_about_holds_nobody_up(silent_resolver: None) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"where mq\.example is"):
            dial("mq.example", 1883, timeout=0.01)
    with pytest.raises(TimeoutError, match="too many"):
        addresses_of("mq.example", 1883, timeout=0.01)
    assert addresses_of("127.0.0.1", 1883) == ["127.0.0.1"]
    seen = observe(Listener(host="mq.example", port=8883), trust_pem="", path="/mqtt", timeout=0.01, in_all=30)
    assert seen.fault == SILENT


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (AdapterKind.NATS, {"host": "mq.example", "port": 1, "issuer_seed": "SA", **NATS}),
        (AdapterKind.GOAUTH_POSTGRESQL, ACCOUNT | {"database": "d"}),
        (AdapterKind.HIVEMQ_ESE_SQL, ACCOUNT | {"database": "d", "dialect": "mysql"}),
    ],
)
def test_adapter_says_that_its_broker_does_not_answer(
    kind: AdapterKind, members: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "_free_lookups", _Taken())
    with pytest.raises(BrokerUnreachable):
        adapter_of(kind, members).read()


class _Taken:
    """None is free."""

    def acquire(self, *, timeout: float) -> bool:
        assert timeout <= dialing.LOOKUP_SECONDS
        return False
