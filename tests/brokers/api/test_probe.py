"""/api/v1/brokers/<name>/probe/, what it leaves as findings, and certificates that end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from brokers import models, queries, services
from brokers.core.listeners.probe import Answer, Observation
from brokers.core.listeners.profile import TlsVersion
from brokers.core.values import BrokerId
from brokers.services.listening_findings import ListeningFindings
from brokers.tasks import probe, probe_one
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from kernel.models import Wakeup
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import Fleet, make_request
from tests.brokers.open_broker import open_broker
from tests.brokers.stand_in import JsonAnswers, stand_in
from tests.cast import ADA
from tests.servers import free_port

PATH = "brokers/hall-7/probe/"


def register(fleet: Fleet, *ports: int, host: str = "127.0.0.1", managed: int | None = None) -> BrokerId:
    broker = BrokerId(new_id())
    api = {"host": "127.0.0.1", "port": managed, "api_key": "k", "api_secret": "s"} if managed else {}
    models.Broker.objects.create(
        id=broker,
        domain_id=fleet.domain.id,
        name="hall-7",
        kind="emqx",
        connection=queries.sealed_connection(api, broker=broker),
        listeners=[{"host": host, "port": port, "transport": "mqtts"} for port in ports],
        created_at=utc_now(),
    )
    return broker


def findings(fleet: Fleet, *, days: int = 0) -> dict[str, str]:
    found = ListeningFindings().find(domains=[fleet.domain.id], now=utc_now() + timedelta(days=days))
    return {finding.code: finding.detail for finding in found}


def test_listener_that_admits_strangers_is_a_finding_until_it_is_gone(
    api: Api, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.services.probing.TIMEOUT_SECONDS", 60.0)  # for machines that do much else
    monkeypatch.setattr("brokers.services.probing.SECONDS_IN_ALL", 600.0)
    chain, key = fleet.server_files("mq")
    (tmp_path / "chain.pem").write_text(chain)
    (tmp_path / "key.pem").write_text(key)
    with open_broker(tmp_path / "chain.pem", tmp_path / "key.pem") as port:
        broker = register(fleet, port)
        nothing: dict[str, Any] = {"at": None, "under_way": None, "listeners": []}
        assert api.get(PATH).json() == nothing
        assert findings(fleet) == {}

        ordered = api.post(PATH)
        assert ordered.status_code == 202, ordered.content
        assert api.get(PATH).json() == nothing | {"under_way": ordered.json()["operation"]}
        assert api.post(PATH).json() == ordered.json(), "one is under way"
        [wakeup] = Wakeup.objects.filter(task="brokers.probe")
        probe.run(wakeup=wakeup.pk)

    [step] = api.get(f"operations/{ordered.json()['operation']}/").json()["steps"]
    assert (step["target"], step["state"], step["detail"]) == ("broker:hall-7", "done", "Of 1 port(s), 2 to mend.")
    seen = api.get(PATH).json()
    assert seen["under_way"] is None
    [listener] = seen["listeners"]
    verdicts = {line["aspect"]: line["verdict"] for line in listener["lines"]}
    assert (verdicts["chain"], verdicts["name"], verdicts["tls"]) == ("good", "good", "good")
    assert (verdicts["certificate-required"], verdicts["anonymous"]) == ("bad", "bad")
    assert set(findings(fleet)) == {"listener-admits-anybody", "listener-unsafe"}
    assert api.post(PATH).json() != ordered.json()
    models.Broker.objects.filter(id=broker).update(listeners=[])
    assert findings(fleet) == {}


def test_listener_that_admitted_strangers_is_a_finding_until_it_refuses_them(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has no place left, or is away, may let in whoever comes next."""
    broker, versions = register(fleet, 8883, host="mq.example"), dict.fromkeys(TlsVersion, True)
    away = Observation(fault="Nobody answers there in TLS.", versions={})

    def after(seen: Observation) -> set[str]:
        monkeypatch.setattr("brokers.services.probing.observe", lambda *_, **__: seen)
        services.probe_listeners(broker=broker, now=utc_now())
        return set(findings(fleet)) & {"listener-admits-anybody", "listener-does-not-answer"}

    assert after(Observation(versions=versions, answer=Answer.OTHER)) == set()
    assert after(Observation(versions=versions, answer=Answer.ADMITTED)) == {"listener-admits-anybody"}
    assert after(Observation(versions=versions, answer=Answer.OTHER)) == {"listener-admits-anybody"}
    assert after(away) == {"listener-admits-anybody", "listener-does-not-answer"}
    assert after(Observation(versions=versions, answer=Answer.CLOSED)) == {"listener-admits-anybody"}
    assert after(Observation(versions=versions, answer=Answer.REFUSED)) == set()


def test_listener_that_does_not_answer_is_told_and_the_others_are_looked_at(fleet: Fleet) -> None:
    ports = [free_port(), free_port()]
    broker = register(fleet, *ports)

    probe_one(broker=str(broker))
    probe_one(broker=str(new_id()))  # one that was removed meanwhile

    told = findings(fleet)
    assert set(told) == {"listener-does-not-answer"}
    assert all(f"127.0.0.1:{port}: Nobody answers there in TLS." in told["listener-does-not-answer"] for port in ports)


def test_dashboard_with_the_password_that_it_comes_with_is_a_finding_and_is_not_tried_often(
    api: Api, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.services.probing.TIMEOUT_SECONDS", 60.0)
    tried: list[bytes] = []
    statuses = [200, 401, 200]

    class Answers(JsonAnswers):
        def do_GET(self) -> None:
            assert self.path.startswith("/api/v5/data/files?")
            self.answer(200, {"data": []})

        def do_POST(self) -> None:
            assert self.path == "/api/v5/login"
            tried.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(statuses[len(tried) - 1], {"token": "t"})

    with stand_in(Answers) as port:
        broker = register(fleet, managed=port)
        now = utc_now()

        def look(minutes: int) -> dict[str, str]:
            services.probe_listeners(broker=broker, now=now + timedelta(minutes=minutes))
            return findings(fleet)

        assert look(0)["broker-management-open"].endswith("lets in admin with the password that it comes with.")
        [seen] = api.get(PATH).json()["listeners"]
        assert (seen["transport"], seen["port"], seen["lines"][0]["aspect"]) == ("http", port, "default-login")
        assert look(1) == {}, "it was mended"
        assert look(2) == look(3) == {}
        assert len(tried) == 2, "a password that was refused is not tried again at once"
        models.Broker.objects.update(version="6.2.1")
        assert set(look(4)) == set(look(5)) == {"broker-key-may-more"}
        assert len(tried) == 2, "nor because something else is to mend"
        assert set(look(11)) == {"broker-management-open", "broker-key-may-more"}
        assert tried == [b'{"username": "admin", "password": "public"}'] * 3
    assert set(look(17)) == {"broker-management-open", "broker-key-may-more"}, "nobody answers: it may be as it was"
    moved = queries.sealed_connection({"host": "127.0.0.1", "port": 1}, broker=broker)
    models.Broker.objects.update(connection=moved)
    assert findings(fleet) == {}, "it is managed elsewhere now"


def test_certificate_is_told_of_in_time(fleet: Fleet) -> None:
    """90 days: told in the last 15; a month after its end it was given up."""
    broker = register(fleet, 8883, host="mq.example")
    _, csr = make_request(fleet.folder, "mq")
    services.certify_server(broker=broker, csr=csr.read_bytes(), actor=ADA, now=utc_now())

    assert findings(fleet, days=74) == {}
    assert set(findings(fleet, days=76)) == {"broker-certificate-ends"}
    assert findings(fleet, days=88)["broker-certificate-ends"] == "Its certificate ends in 1 day."
    assert findings(fleet, days=87)["broker-certificate-ends"] == "Its certificate ends in 2 days."
    assert set(findings(fleet, days=91)) == {"broker-certificate-ended"}
    assert findings(fleet, days=121) == {}
    models.Broker.objects.update(listeners=[{"host": "new.example", "port": 8883, "transport": "mqtts"}])
    assert "new.example" in findings(fleet)["broker-certificate-lacks-name"]


def test_who_may_only_read_does_not_have_us_connect(fleet: Fleet, caller: Caller) -> None:
    register(fleet, free_port())

    assert caller(fleet.domain.id, ["brokers:read"]).post(PATH).status_code == 403
    assert not Wakeup.objects.filter(task="brokers.probe").exists()
