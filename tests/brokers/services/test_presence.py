"""Sessions and the access log, from events as a broker tells them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from brokers import models, queries, services
from brokers.core.values import AccessKind, AdapterKind, Broker, BrokerEvent, BrokerId
from brokers.services import presence, session_room
from brokers.services.hearing_findings import HearingFindings
from brokers.services.policy_use import UseNotes
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId, new_id
from tests.brokers.fleet import Fleet
from tests.cast import ADA, NOW


@pytest.fixture
def broker(fleet: Fleet) -> Broker:
    return services.register_broker(
        domain=fleet.domain.id,
        name="hall-7",
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": "pw"},
        actor=ADA,
        now=utc_now(),
    )


def come(broker: Broker, name: str, connection_id: str = "") -> None:
    connected = BrokerEvent(
        at=NOW,
        kind=AccessKind.CONNECTED,
        auth_id=name,
        client_id=name,
        address="192.0.2.1",
        connection_id=connection_id,
    )
    services.note_events(broker=broker.id, events=[connected])


def leave(broker: Broker, name: str, connection_id: str = "") -> None:
    end = BrokerEvent(at=NOW, kind=AccessKind.DISCONNECTED, client_id=name, connection_id=connection_id)
    services.note_events(broker=broker.id, events=[end])


def clients(broker: Broker) -> list[str]:
    return [session.client_id for session in queries.sessions_on(broker=broker.id)]


def test_session_is_the_devices(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    come(broker, "p-1")
    [session] = queries.sessions_of(device=one.id)
    assert (session.broker_name, session.client_id, session.address) == ("hall-7", "p-1", "192.0.2.1")


def test_unknown_name_is_nobodys_session(broker: Broker) -> None:
    come(broker, "stranger")
    [session] = queries.sessions_on(broker=broker.id)
    assert session.device is None


def test_session_of_the_same_client_id_takes_the_place_of_the_old(broker: Broker) -> None:
    come(broker, "p-1")
    come(broker, "p-1")
    assert clients(broker) == ["p-1"]


def test_end_without_a_username_is_the_devices(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    come(broker, "p-1")
    leave(broker, "p-1")
    assert clients(broker) == []
    assert [event.kind for event in queries.events_of(device=one.id)] == ["disconnected", "connected"]


def test_end_that_names_the_connection_alone_is_that_of_its_session(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    come(broker, "p-1", connection_id="192.0.2.1:1 -> 192.0.2.9:8883")
    come(broker, "p-2", connection_id="192.0.2.1:2 -> 192.0.2.9:8883")
    for connection_id in ("192.0.2.1:1 -> 192.0.2.9:8883", "192.0.2.1:3 -> 192.0.2.9:8883"):
        leave(broker, "", connection_id=connection_id)
    assert clients(broker) == ["p-2"]
    assert [event.kind for event in queries.events_of(device=one.id)] == ["disconnected", "connected"]


def test_late_end_of_an_earlier_connection_closes_nothing(broker: Broker) -> None:
    come(broker, "p-1", connection_id="2")
    leave(broker, "p-1", connection_id="1")
    assert clients(broker) == ["p-1"]


def test_session_that_took_over_a_moment_ago_and_is_not_listed_is_over(broker: Broker) -> None:
    come(broker, "p-1", connection_id="1")
    come(broker, "p-1", connection_id="2")
    assert services.replace_sessions(broker=broker.id, present=[], now=NOW + timedelta(seconds=1)) == 1
    assert clients(broker) == []


def test_refusal_is_written_down(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    refused = BrokerEvent(at=NOW, kind=AccessKind.REFUSED, auth_id="p-1", address="192.0.2.9", detail="It is revoked.")
    services.note_events(broker=broker.id, events=[refused])
    [event] = queries.events_of(device=one.id)
    assert (event.kind, event.detail) == (AccessKind.REFUSED, "It is revoked.")


def test_overlong_names_are_cut(broker: Broker) -> None:
    for end in ("", "y", "z"):
        come(broker, "x" * 70_000 + end)
    names = clients(broker)
    assert len({name for name in names if len(name) == 255 and name.startswith("x" * 222 + "…")}) == 3
    leave(broker, "x" * 70_000 + "y")
    assert len(clients(broker)) == 2


def test_a_broker_claims_no_more_sessions_than_there_is_room_for(
    fleet: Fleet, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_room, "MOST_OF_DEVICE", 2)
    monkeypatch.setattr(session_room, "MOST_OF_NOBODY", 3)
    lost: list[int] = []
    monkeypatch.setattr(presence, "note_lost", lambda *, count, **_: lost.append(count))
    fleet.enroll("p-1")

    def claim(auth_id: str, *names: str) -> None:
        events = [BrokerEvent(at=NOW, kind=AccessKind.CONNECTED, auth_id=auth_id, client_id=name) for name in names]
        services.note_events(broker=broker.id, events=events)

    claim("p-1", "a", "b", "c")
    claim("p-1", "d", "a")  # the second takes the place of its own
    claim("nobody", "u", "v")
    claim("another", "w", "x")
    assert (sorted(clients(broker)), lost) == (["a", "b", "u", "v", "w"], [1, 1, 1])
    leave(broker, "b")
    claim("p-1", "c", "e")
    pairs = [("p-1", "u"), ("nobody", "y")]  # the first takes no place, since there is none for it, and leaves none
    events = [BrokerEvent(at=NOW, kind=AccessKind.CONNECTED, auth_id=who, client_id=name) for who, name in pairs]
    services.note_events(broker=broker.id, events=events)
    assert (sorted(clients(broker)), lost) == (["a", "c", "u", "v", "w"], [1, 1, 1, 1, 2])


def test_what_was_lost_is_found_by_who_may_see_the_broker(fleet: Fleet, broker: Broker) -> None:
    notes, now = UseNotes(), utc_now()
    for days, count in ((0, 5), (1, 7), (2, 1_000)):
        notes.note_lost(broker=broker.id, count=count, now=now - timedelta(days=days))
    notes.flush()
    [finding] = HearingFindings().find(domains=[fleet.domain.id], now=now)
    assert (finding.subject.label, finding.detail[:3]) == ("hall-7", "12 ")
    assert not list(HearingFindings().find(domains=[DomainId(new_id())], now=now))


def test_restart_of_the_broker_ends_every_earlier_session(broker: Broker) -> None:
    come(broker, "p-1")
    started = BrokerEvent(at=NOW + timedelta(seconds=1), kind=AccessKind.STARTED)
    services.note_events(broker=broker.id, events=[started])
    assert clients(broker) == []


def test_sessions_that_the_broker_does_not_list_are_forgotten(broker: Broker) -> None:
    come(broker, "p-1")
    come(broker, "p-2")
    listed = [BrokerEvent(at=NOW, kind=AccessKind.CONNECTED, auth_id="p-2", client_id="p-2")]
    assert services.replace_sessions(broker=broker.id, present=listed, now=NOW) == 1
    assert clients(broker) == ["p-2"]


def test_broker_that_is_gone_is_ignored(db: None) -> None:
    came = BrokerEvent(at=NOW, kind=AccessKind.CONNECTED, auth_id="a", client_id="a")
    services.note_events(broker=BrokerId(new_id()), events=[came])
    assert not models.AccessEvent.objects.exists()


def test_log_outlives_the_broker(fleet: Fleet, broker: Broker) -> None:
    one = fleet.enroll("p-1")
    come(broker, "p-1")
    services.remove_broker(broker=broker.id, actor=ADA, now=utc_now())
    assert [event.broker_name for event in queries.events_of(device=one.id)] == ["hall-7"]
    assert queries.sessions_of(device=one.id) == []
