"""Registering a broker of each kind on the console, what is refused, and forgetting one."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from brokers import models, queries
from brokers.core.values import AdapterKind, BrokerId
from console.views.broker_kinds import KINDS
from tests.console.views.scene import Scene

HERE = {"host": "127.0.0.1"}
ACCOUNT = {"username": "gatehouse", "password": "pass-word"}
DATABASE = {**HERE, "port": 5432, "database": "mqtt", **ACCOUNT}
REST = {"rest": {**HERE, "port": 8888, **ACCOUNT}, "log": {"directory": "logs"}}
SYSTEM = {**HERE, "port": 4222, "system_user": "sys", "system_password": "pass-word", "account": "FLEET"}
SEED = "SAANDLKMXL6CUS3CP52WIXBEDN6YJ545GDKC65U5JZPPV6WH6ESWUA6YAI"
CONNECTIONS: dict[AdapterKind, dict[str, Any]] = {
    AdapterKind.MOSQUITTO_DYNSEC: {**HERE, "port": 1884, **ACCOUNT, "files": {"directory": "a"}},
    AdapterKind.MOSQUITTO_FILES: {"files": {"directory": "b"}},
    AdapterKind.GOAUTH_POSTGRESQL: DATABASE,
    AdapterKind.GOAUTH_REDIS: {**HERE, "port": 6379, "database": 2},
    AdapterKind.EMQX: {**HERE, "port": 18083, "api_key": "key", "api_secret": "pass-word"},
    AdapterKind.RABBITMQ: {**HERE, "port": 15672, **ACCOUNT, "vhost": "/"},
    AdapterKind.HIVEMQ_ESE_SQL: {**DATABASE, "dialect": "mysql", **REST, "log": {"directory": "c"}},
    AdapterKind.HIVEMQ_ESE_FILE: {"files": {"directory": "d"}, **REST},
    AdapterKind.HIVEMQ_CE_FILE: {"files": {"directory": "e"}},
    AdapterKind.VERNEMQ_POSTGRESQL: {**DATABASE, "api": {**HERE, "port": 8888, "api_key": "pass-word"}},
    AdapterKind.NANOMQ: {**HERE, "port": 8081, **ACCOUNT, "files": {"directory": "f"}},
    AdapterKind.NATS: {
        **SYSTEM, "callout_user": "callout", "callout_password": "pass-word", "issuer_seed": SEED,
    },
    AdapterKind.NATS_FILES: {**SYSTEM, "files": {"directory": "g"}, "subject": "CN={auth_id},O=Acme"},
    AdapterKind.HTTP_DECISIONS: {"dialect": "nanomq"},
}  # fmt: skip


def sent_by(client: Client, kind: str, **typed: object) -> Any:
    return client.post(f"/brokers/_new/{kind}/", typed)


def leaves(members: dict[str, Any], before: str = "connection/") -> dict[str, object]:
    """The fields of a form that hold the members."""
    found: dict[str, object] = {}
    for name, value in members.items():
        found |= leaves(value, f"{before}{name}/") if isinstance(value, dict) else {before + name: value}
    return found


def kept(broker: BrokerId) -> dict[str, Any]:
    return dict(queries.link_to(broker=broker).connection)


def shown_fields(text: str) -> dict[str, str]:
    """What a browser would send of a form as it is shown."""
    form = text[text.index('<form method="post" novalidate') :]
    found = dict(re.findall(r'<input type="(?:text|number|hidden)" name="([^"]+)" value="([^"]*)"', form))
    areas = re.findall(r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL)
    return found | dict(areas)


def test_each_kind_is_offered_registered_and_stays_when_its_form_is_sent_as_shown(north: Scene, at_ada: Client) -> None:
    assert set(KINDS) == set(CONNECTIONS) == set(AdapterKind)
    offered = at_ada.get("/brokers/_new/").content.decode()
    for kind, connection in CONNECTIONS.items():
        assert f'href="/brokers/_new/{kind}/"' in offered
        assert at_ada.get(f"/brokers/_new/{kind}/").status_code == 200
        name = f"hall-{kind}"
        sent = sent_by(at_ada, kind, name=name, listeners="mqtts://mq.example:8883", **leaves(connection))
        assert (sent.status_code, sent.headers.get("Location")) == (302, f"/brokers/{name}/"), html.unescape(
            sent.content.decode()
        )
        made = queries.get_broker(name=name, domains=[north.domain])
        assert (made.kind, made.listeners[0].host, kept(made.id)) == (kind, "mq.example", connection)
        edited = html.unescape(at_ada.get(f"/brokers/{name}/edit/").content.decode())
        assert "pass-word" not in edited
        again = at_ada.post(f"/brokers/{name}/edit/", shown_fields(edited))
        assert (again.status_code, queries.get_broker(id=made.id).tag) == (302, made.tag), kind


def test_what_is_wrong_of_a_new_broker_stands_beside_its_field(north: Scene, at_ada: Client) -> None:
    typed = {"name": "hall-7", "listeners": "", **leaves(CONNECTIONS[AdapterKind.VERNEMQ_POSTGRESQL])}
    for wrong, said in (
        ({"name": "Hall 7"}, ["Give 1 to 63 lower-case letters"]),
        ({"name": north.broker.name}, ["Choose another."]),
        ({"name": ""}, ["This field is required."]),
        ({"connection/host": "mq.example"}, ["The password would cross the network in the clear: give ca_pem"]),
        ({"connection/port": "99999", "listeners": "mqtts://x_:1"}, ["Give a TCP port", "Give a DNS name"]),
        ({"connection/api/host": ""}, ["Give a DNS name or an IP address."]),
        ({"connection/api/ca_pem": "not one"}, ["Give the certificates of the broker's CA as PEM."]),
    ):
        answer = sent_by(at_ada, "vernemq-postgresql", **typed | wrong)
        text = html.unescape(answer.content.decode())
        assert answer.status_code == 200, wrong
        assert all(each in text for each in [*said, "Secrets have to be typed again"]), wrong
        assert "pass-word" not in text
        assert 'value="mqtt"' in text  # the rest of what was typed
    assert queries.list_brokers(domains=[north.domain]) == [north.broker]
    assert at_ada.get("/brokers/_new/mosquitto/").status_code == 404


def test_part_of_a_connection_is_added_later_and_taken_away(north: Scene, at_ada: Client) -> None:
    whole = CONNECTIONS[AdapterKind.VERNEMQ_POSTGRESQL]
    without = {name: value for name, value in whole.items() if name != "api"}
    sent_by(at_ada, "vernemq-postgresql", name="hall-7", listeners="", **leaves(without))
    made = queries.get_broker(name="hall-7", domains=[north.domain])
    assert kept(made.id) == without
    for connection, typed in ((whole, {"connection/api/api_key": "pass-word"}), (without, {})):
        form = shown_fields(html.unescape(at_ada.get("/brokers/hall-7/edit/").content.decode()))
        now = {name: "" for name in form if name.startswith("connection/api/")} | leaves(
            {"api": {**HERE, "port": 8888}} if typed else {}
        )
        answer = at_ada.post("/brokers/hall-7/edit/", form | now | typed)
        assert answer.status_code == 302, html.unescape(answer.content.decode())
        assert kept(made.id) == connection


def test_broker_is_forgotten_once_its_name_is_typed(north: Scene, at_ada: Client) -> None:
    address = f"/brokers/{north.broker.name}/forget/"
    assert "can not be undone" in at_ada.get(address).content.decode()
    assert "nothing was done" in at_ada.post(address, {"name": "another"}).content.decode()
    assert at_ada.post(address, {"name": north.broker.name}).headers["Location"] == "/brokers/"
    assert "No broker is registered in this domain" in at_ada.get("/brokers/").content.decode()
    assert at_ada.post(address, {"name": north.broker.name}).status_code == 404


def test_embedded_broker_that_runs_is_not_forgotten(
    north: Scene, at_ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.Broker.objects.update(name="embedded")
    assert "/brokers/embedded/forget/" in at_ada.get("/brokers/embedded/edit/").content.decode()
    monkeypatch.setattr(queries, "embedded_pid", lambda: 1)
    assert "/brokers/embedded/forget/" not in at_ada.get("/brokers/embedded/edit/").content.decode()
    answer = at_ada.post("/brokers/embedded/forget/", {"name": "embedded"})
    assert (answer.status_code, "end `manage.py run`" in html.unescape(answer.content.decode())) == (409, True)
    assert [broker.name for broker in queries.list_brokers(domains=[north.domain])] == ["embedded"]


def test_who_may_not_change_brokers_registers_and_forgets_none(north: Scene, at_bo: Client, at_cy: Client) -> None:
    assert "/brokers/_new/" not in at_bo.get("/brokers/").content.decode()
    connection = leaves(CONNECTIONS[AdapterKind.EMQX])
    for address in ("/brokers/_new/", "/brokers/_new/emqx/"):
        assert at_bo.get(address).status_code == 403
    assert sent_by(at_bo, "emqx", name="hall-7", listeners="", **connection).status_code == 403
    for client, status in ((at_bo, 403), (at_cy, 404)):
        assert client.get(f"/brokers/{north.broker.name}/forget/").status_code == status
        assert client.post(f"/brokers/{north.broker.name}/forget/", {"name": north.broker.name}).status_code == status
    assert queries.list_brokers(domains=[north.domain]) == [north.broker]
