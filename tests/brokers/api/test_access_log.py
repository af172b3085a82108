"""/api/v1/access-log/: lines, their filters, and daily files; each domain its own."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from brokers import services
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind, AdapterKind, Broker, BrokerEvent
from console.core.roles import EVERY_SCOPE
from devices import services as devices
from devices.core.values import Domain
from tests.brokers.api.conftest import Api, Caller
from tests.cast import ADA

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
YESTERDAY = datetime(2026, 11, 20, 12, tzinfo=UTC)


def make_broker(domain: Domain, name: str) -> Broker:
    return services.register_broker(
        domain=domain.id,
        name=name,
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": "pw"},
        actor=ADA,
        now=NOW,
    )


def tell(broker: Broker, *clients: str, kind: AccessKind = AccessKind.CONNECTED, at: datetime = NOW) -> None:
    denied = kind is AccessKind.DENIED
    events = [
        BrokerEvent(
            at=at,
            kind=kind,
            client_id=client,
            action=AccessAction.PUBLISH if denied else AccessAction.CONNECT,
            topic="a/b" if denied else "",
            qos=1 if denied else None,
            reason=AccessReason.NOT_ALLOWED if denied else None,
        )
        for client in clients
    ]
    services.note_events(broker=broker.id, events=events)


@pytest.fixture
def domain(db: None, tmp_path: Path, settings: Settings) -> Domain:
    settings.GATEHOUSE_HOME = tmp_path
    return devices.create_domain(slug="north", name="North", actor=ADA, now=NOW)


@pytest.fixture
def broker(domain: Domain) -> Broker:
    return make_broker(domain, "hall-7")


@pytest.fixture
def api(domain: Domain, caller: Caller) -> Api:
    return caller(domain.id, EVERY_SCOPE)


@pytest.fixture
def stranger(api: Api, caller: Caller) -> Api:
    south = devices.create_domain(slug="south", name="South", actor=ADA, now=NOW)
    tell(make_broker(south, "hall-9"), "s-1", at=YESTERDAY)
    return caller(south.id, EVERY_SCOPE)


def clients(api: Api, query: str = "") -> list[str]:
    answer = api.get(f"access-log/{query}")
    assert answer.status_code == 200, answer.content
    return [line["client_id"] for line in answer.json()["results"]]


def test_lines_are_told_newest_first_page_by_page(api: Api, broker: Broker) -> None:
    tell(broker, *(f"p-{number}" for number in range(5)))
    first = api.get("access-log/?limit=2").json()
    assert [line["client_id"] for line in first["results"]] == ["p-4", "p-3"]
    assert first["approximate_count"] == 5
    tell(broker, "p-5")
    second = api.get(f"access-log/?limit=3&cursor={first['next']}").json()
    assert [line["client_id"] for line in second["results"]] == ["p-2", "p-1", "p-0"]
    assert second["next"] is None


def test_line_says_what_was_denied_and_why(api: Api, broker: Broker) -> None:
    tell(broker, "p-1", kind=AccessKind.DENIED)
    [line] = api.get("access-log/").json()["results"]
    assert {name: line[name] for name in ("kind", "action", "topic", "qos", "reason", "broker", "at")} == {
        "kind": "denied",
        "action": "publish",
        "topic": "a/b",
        "qos": 1,
        "reason": "not-allowed",
        "broker": "hall-7",
        "at": "2026-11-21T12:00:00Z",
    }


def test_end_without_a_goodbye_is_ungraceful(api: Api, broker: Broker) -> None:
    reasons = (AccessReason.DISCONNECTED, AccessReason.KEEPALIVE_EXCEEDED, AccessReason.CLIENT_CLOSED, None)
    ends = [BrokerEvent(at=NOW, kind=AccessKind.DISCONNECTED, client_id="p-1", reason=reason) for reason in reasons]
    refused = BrokerEvent(at=NOW, kind=AccessKind.REFUSED, client_id="p-1", reason=AccessReason.PROTOCOL_ERROR)
    services.note_events(broker=broker.id, events=[*ends, refused])
    found = api.get("access-log/").json()["results"]
    assert [line["ungraceful"] for line in reversed(found)] == [False, True, None, None, None]


def test_lines_are_narrowed(api: Api, broker: Broker, domain: Domain) -> None:
    tell(broker, "one")
    tell(broker, "two", kind=AccessKind.DENIED)
    tell(make_broker(domain, "hall-8"), "three")
    assert clients(api, "?kind=denied") == ["two"]
    assert clients(api, "?action=connect") == ["three", "one"]
    assert clients(api, "?broker=hall-8") == ["three"]
    assert clients(api, "?device=01930000-0000-7000-8000-0000000000ff") == []
    assert clients(api, "?domain=north&kind=connected&broker=hall-7") == ["one"]
    for query in ("?kind=x", "?action=x", "?cursor=x", "?limit=0"):
        assert api.get(f"access-log/{query}").status_code == 400
    assert api.get("access-log/?device=x").status_code == 404


def test_file_of_a_day_is_listed_and_fetched(api: Api, broker: Broker) -> None:
    tell(broker, "p-1", at=YESTERDAY)
    services.roll_access_log(now=NOW)
    [listed] = api.get("access-log/files/").json()["results"]
    assert (listed["domain"], listed["day"]) == ("north", "2026-11-20")
    answer = api.get("access-log/files/north/2026-11-20/")
    assert answer.headers["Content-Type"] == "application/gzip"
    assert 'filename="access-log-north-2026-11-20.ndjson.gz"' in answer.headers["Content-Disposition"]
    [line] = gzip.decompress(answer.getvalue()).decode().splitlines()
    assert json.loads(line)["client_id"] == "p-1"


def test_what_is_no_day_is_no_file(api: Api, broker: Broker) -> None:
    tell(broker, "p-1", at=YESTERDAY)
    services.roll_access_log(now=NOW)
    for day in ("2026-11-19", "20261120", "2026-W47-5", "..", "..%2f2026-11-20", "2026-11-20.ndjson"):
        assert api.get(f"access-log/files/north/{day}/").status_code == 404
    for slug in ("..", "%2e%2e", "north%2f..", "North"):
        assert api.get(f"access-log/files/{slug}/2026-11-20/").status_code == 404


def test_another_domain_sees_neither_lines_nor_files(api: Api, broker: Broker, stranger: Api) -> None:
    tell(broker, "p-1", at=YESTERDAY)
    services.roll_access_log(now=NOW)
    assert (clients(api), clients(stranger)) == (["p-1"], ["s-1"])
    assert stranger.get("access-log/?domain=north").status_code == 404
    assert stranger.get("access-log/files/?domain=north").status_code == 404
    assert stranger.get("access-log/files/north/2026-11-20/").status_code == 404
    assert gzip.decompress(stranger.get("access-log/files/south/2026-11-20/").getvalue())
