"""Webhooks of brokers against a real fleet: who may tell, about whom, and what a broker is answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import uuid4

import pytest
from django.db import OperationalError

from brokers import models, queries, services
from brokers.api import decide_wsgi, ingest_wsgi
from brokers.core.decide.decisions import Identity
from brokers.core.values import AdapterKind, BrokerEvent, BrokerId
from brokers.listen import writing
from brokers.listen.intake import Intake
from brokers.services.deciding import Decider
from brokers.services.decision_memory import DecisionMemory
from kernel.core.clock import utc_now
from tests.brokers.asking import Broker, Reply, ask
from tests.brokers.fleet import Fleet
from tests.cast import ADA
from tests.servers import wait_until

REGISTER = json.dumps({"peer_addr": "192.0.2.7", "mountpoint": "", "client_id": "pump-1", "username": "pump-1"})
GONE = json.dumps({"mountpoint": "", "client_id": "pump-1"})


class AtOnce:
    """In place of the thread that writes."""

    def take(self, broker: BrokerId, events: Sequence[BrokerEvent]) -> None:
        """Writes them."""
        services.note_events(broker=broker, events=events)


def broker(fleet: Fleet, name: str, kind: AdapterKind = AdapterKind.EMQX) -> Broker:
    id = BrokerId(uuid4())
    models.Broker.objects.create(
        id=id, domain_id=fleet.domain.id, name=name, kind=kind, connection=b"", created_at=utc_now()
    )
    made = services.mint_decision_secret(broker=id, identity=Identity.SHOWN, actor=ADA, now=utc_now())
    return Broker(id=str(id), secret=made.secret)


@pytest.fixture
def hall(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = broker(fleet, "hall-7")
    monkeypatch.setattr(decide_wsgi, "decider", Decider())
    monkeypatch.setattr(ingest_wsgi, "intake", AtOnce())
    return made


def tell(path: str, body: str, *, hook: str = "on_register", secret: str = "", method: str = "POST") -> Reply:
    return ask(f"/ingest/{path}", body.encode(), method=method, secret=secret, by=ingest_wsgi, HTTP_VERNEMQ_HOOK=hook)


def connected(told: Broker) -> list[tuple[str, str, bool]]:
    sessions = queries.sessions_on(broker=BrokerId(models.Broker.objects.get(id=told.id).id))
    return [(each.client_id, each.address, each.device is not None) for each in sessions]


def test_broker_tells_who_comes_and_goes_with_its_secret_in_header_or_path(fleet: Fleet, hall: Broker) -> None:
    fleet.enroll("pump-1")
    reply = tell(f"{hall.id}/vernemq", REGISTER, secret=hall.secret)
    assert (reply.status, reply.document) == ("200 OK", {})
    assert connected(hall) == [("pump-1", "192.0.2.7", True)]
    tell(f"{hall.id}/{hall.secret}/vernemq", GONE, hook="on_client_gone")
    tell(f"{hall.id}/{hall.secret}/vernemq", GONE, hook="on_client_gone")  # once more: nothing is left to end
    assert connected(hall) == []


def test_nobody_tells_of_another_broker(fleet: Fleet, hall: Broker) -> None:
    other = broker(fleet, "hall-8")
    tell(f"{other.id}/vernemq", REGISTER, secret=other.secret)
    for path, secret in [
        (f"{other.id}/vernemq", hall.secret),
        (f"{other.id}/vernemq", ""),
        (f"{other.id}/{hall.secret}/vernemq", ""),
        (f"{uuid4()}/vernemq", other.secret),
        (f"{other.id}/rabbitmq", other.secret),
        (f"{other.id}/x/y/vernemq", other.secret),
        ("", other.secret),
    ]:
        assert tell(path, GONE, hook="on_client_gone", secret=secret).status == "403 Forbidden"
    assert tell(f"{other.id}/vernemq", GONE, hook="on_client_gone", secret=other.secret, method="GET").status[0] == "4"
    tell(f"{hall.id}/vernemq", GONE, hook="on_client_gone", secret=hall.secret)  # its own client of that name
    assert [client for client, *_ in connected(other)] == ["pump-1"]


def test_broker_is_never_made_to_wait_by_what_it_says(hall: Broker) -> None:
    for body in ("", "{", "[1]", "[]", '{"event": 7}', "[" * 5_000, " " * 300_000):
        assert tell(f"{hall.id}/emqx", body, secret=hall.secret).status == "200 OK"
    assert not models.AccessEvent.objects.exists()


def away(*_: object, **__: object) -> None:
    raise OperationalError("away")


def test_broker_that_this_process_never_knew_is_turned_away_without_a_database(
    hall: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kernel.queries.journal_end", "brokers.services.decision_memory.read_doors"):
        monkeypatch.setattr(name, away)
    assert tell(f"{hall.id}/emqx", "{}", secret=hall.secret).status == "403 Forbidden"


@pytest.mark.django_db(transaction=True)
def test_what_is_told_while_the_database_is_away_is_there_once_it_is_back(
    hall: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake, seconds = Intake(), [0.0]
    monkeypatch.setattr(ingest_wsgi, "intake", intake)
    monkeypatch.setattr(decide_wsgi, "decider", Decider(DecisionMemory(clock=lambda: seconds[0])))
    monkeypatch.setattr(writing, "_PAUSE_SECONDS", 0.01)
    path = f"{hall.id}/vernemq"
    assert tell(path, "[]", secret=hall.secret).status == "200 OK"  # now this process knows the broker
    with monkeypatch.context() as patched:
        for name in (
            "kernel.queries.journal_end", "brokers.services.decision_memory.read_doors",
            "brokers.services.presence.models.Broker.objects.filter",
        ):  # fmt: skip
            patched.setattr(name, away)
        for seconds[0] in (30, 3_000):
            who = json.dumps({"mountpoint": "", "client_id": f"pump-{seconds[0]}"})
            assert tell(path, who, secret=hall.secret).status == "200 OK"
            assert tell(path, who, secret="another").status == "403 Forbidden"
    wait_until(lambda: len(connected(hall)) == 2, what="both are written down")
    intake.close()
    assert sorted(client for client, *_ in connected(hall)) == ["pump-30", "pump-3000"]


def test_fault_of_ours_is_no_error_to_send_it_all_again(hall: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_wsgi, "read_told", lambda *_, **__: 1 // 0)
    monkeypatch.setattr(ingest_wsgi.log, "exception", lambda *_: None)
    assert tell(f"{hall.id}/emqx", "{}", secret=hall.secret).status == "200 OK"


def test_a_late_end_of_an_older_connection_ends_no_newer_one(fleet: Fleet, hall: Broker) -> None:
    fleet.enroll("pump-1")
    who = {"clientid": "pump-1", "username": "pump-1"}
    old, new = who | {"peername": "192.0.2.7:1"}, who | {"peername": "192.0.2.7:2"}
    ended = {"event": "client.disconnected", "reason": "takenover"}
    said = [
        {"event": "client.connected"} | old, {"event": "client.connected"} | new,
        ended | old, ended | old, {"event": "client.connected"} | new,
    ]  # fmt: skip
    tell(f"{hall.id}/emqx", json.dumps(said), secret=hall.secret)
    assert connected(hall) == [("pump-1", "192.0.2.7:2", True)]
    tell(f"{hall.id}/emqx", json.dumps(ended | new), secret=hall.secret)
    assert connected(hall) == []


def test_use_that_a_broker_asked_for_is_not_counted_again(
    fleet: Fleet, hall: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = broker(fleet, "hall-9", AdapterKind.HTTP_DECISIONS)
    noted: list[BrokerId] = []
    monkeypatch.setattr("brokers.services.presence.note_told", lambda **told: noted.append(told["broker"]))
    for each in (hall, asks):
        tell(f"{each.id}/vernemq", REGISTER, secret=each.secret)
    assert [str(id) for id in noted] == [hall.id]
