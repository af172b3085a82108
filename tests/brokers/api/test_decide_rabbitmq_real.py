"""A real RabbitMQ that asks us about everything, with devices that log in by certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from brokers.api import decide_wsgi
from brokers.core.auth_chains.chain import AuthChain
from brokers.core.auth_chains.document import read_chain
from brokers.core.auth_chains.terms import AuthTerms
from brokers.core.decide.decisions import Identity
from brokers.core.ports import RenderSubject, Standing
from brokers.core.values import BrokerId
from brokers.services.deciding import Decider
from brokers.services.decision_doors import Door
from brokers.services.decision_learning import Known
from brokers.services.decision_memory import DecisionMemory
from brokers.services.decision_secrets import secret_hash
from devices.core.values import DeviceId
from kernel.core.clock import FOR_EVER
from kernel.core.ids import DomainId
from tests.brokers.conftest import OpensslCa
from tests.brokers.core.real_rabbitmq import Client, Closed, rabbitmq
from tests.brokers.subjects import DOWN, PUBLISH, UP, rule, subject
from tests.cast import NORTH
from tests.servers import free_port, is_open, wait_until

pytestmark = pytest.mark.e2e

BROKER, SECRET = BrokerId(uuid4()), "s" * 32


class Register(DecisionMemory):
    """A few devices, and no database; `terms` are of the broker's authentication chain."""

    def __init__(self, *subjects: RenderSubject) -> None:
        super().__init__()
        self.subjects = {each.principal.auth_id: each for each in subjects}
        self.terms = AuthTerms(AuthChain())

    def follow(self, **_: float) -> None:
        """Nothing is to be learnt."""

    def door(self, broker: str) -> Door | None:
        secrets = ((secret_hash(BROKER, SECRET), Identity.CERTIFICATE),)
        found = Door(broker=BROKER, domain=NORTH, secrets=secrets, terms=self.terms)
        return found if broker == str(BROKER) else None

    def find(self, domain: DomainId, auth_id: str, *, broker: BrokerId | None = None, now: datetime) -> Known | None:
        del now
        found = self.subjects.get(auth_id)
        return Known((domain, auth_id, broker), DeviceId(uuid4()), auth_id, found, 0, FOR_EVER) if found else None


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


class CertifiedClient(Client):
    """One connection over mutual TLS; whatever is refused raises Closed."""

    def __init__(self, port: int, client_id: str, context: ssl.SSLContext | None, *login: str) -> None:
        self.received: list[str] = []
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket = context.wrap_socket(plain, server_hostname="localhost") if context else plain
        self._stream = self._socket.makefile("rb")
        flags = b"\x02" if not login else b"\x82" if len(login) == 1 else b"\xc2"  # clean session; user name, password
        texts = b"".join(len(text).to_bytes(2, "big") + text.encode() for text in (client_id, *login))
        self._send(0x10, b"\0\x04MQTT\x04" + flags + b"\0\0" + texts)
        if self._wait_for(2)[1] != 0:
            self.close()
            raise Closed


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    boss = subject("boss", rule("allow", PUBLISH, "north/+/down/#"))
    made = Register(subject("pump-1", UP, DOWN), subject("pump-2", UP, DOWN, standing=Standing.BARRED), boss)
    monkeypatch.setattr(decide_wsgi, "decider", Decider(made))
    monkeypatch.setattr("brokers.services.policy_use.note_decided", lambda **_: None)
    monkeypatch.setattr(decide_wsgi.refusals, "note", lambda *_: None)
    return made


@pytest.fixture
def gatehouse(register: Register) -> Iterator[str]:
    server = make_server("127.0.0.1", free_port(), decide_wsgi.application, handler_class=Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/decide/{BROKER}/{SECRET}/rabbitmq"
    server.shutdown()
    server.server_close()


def refused(port: int, client_id: str, context: ssl.SSLContext | None, *login: str) -> bool:
    try:
        CertifiedClient(port, client_id, context, *login).close()
    except Closed:
        return True
    return False


def closed_by(client: Client, act: str, topic: str) -> bool:
    """Whether the broker closes the connection of who tries that."""
    try:
        getattr(client, act)(topic)
    except Closed:
        return True
    finally:
        client.close()
    return False


def test_rabbitmq_does_what_it_is_told(
    gatehouse: str, register: Register, openssl_ca: OpensslCa, tmp_path: Path
) -> None:
    port, context = free_port(), {name: client_context(openssl_ca, name) for name in ("pump-1", "pump-2", "boss")}
    (tmp_path / "rabbitmq").mkdir()
    more = configuration(port, gatehouse, openssl_ca)
    with rabbitmq(tmp_path / "rabbitmq", plugins=PLUGINS, more=more) as broker:
        wait_until(lambda: is_open(port), seconds=180, what="RabbitMQ listens to devices with certificates")
        pump, boss = CertifiedClient(port, "pump-1", context["pump-1"]), CertifiedClient(port, "boss", context["boss"])
        pump.subscribe("north/pump-1/down/#")
        boss.publish("north/pump-1/down/open")
        pump.publish("north/pump-1/up/t")
        assert pump.receive_until("north/pump-1/down/open") == []  # it came, and nothing before it
        assert closed_by(pump, "publish", "north/boss/up/t")
        for act, topic in (("subscribe", "north/#"), ("subscribe", "north/pump-1/*/x"), ("publish", "$SYS/x")):
            assert closed_by(CertifiedClient(port, "pump-1", context["pump-1"]), act, topic), topic

        assert refused(port, "boss", context["pump-1"])  # another's client id
        assert refused(port, "pump-2", context["pump-2"])  # a device that is barred
        for names in ("boss",), ("boss", ""), ("boss", "x"), ("guest", "guest"):  # they override the certificate
            assert refused(port, "boss", context["pump-1"], *names), names
        for login in [], ["pump-1"], ["pump-1", ""], ["pump-1", "x"]:  # a listener without certificates
            assert refused(broker.port, "pump-1", None, *login), login

        several = {"do": "regex", "field": "client_id", "value": "(?P<client_id>.+)-2", "optional": True}
        register.terms = AuthTerms(read_chain({"steps": [several], "methods": ["certificate"]}))
        second = CertifiedClient(port, "pump-1-2", context["pump-1"])
        second.subscribe("north/pump-1/down/#")
        second.publish("north/pump-1/up/t")
        boss.publish("north/pump-1/down/again")
        assert second.receive_until("north/pump-1/down/again") == []
        assert closed_by(second, "publish", "north/boss/up/t")
        assert refused(port, "pump-1-3", context["pump-1"])

        register.subjects["boss"] = subject("boss", standing=Standing.BARRED)
        assert closed_by(boss, "publish", "north/pump-1/down/other")


PLUGINS = ("rabbitmq_auth_backend_http", "rabbitmq_auth_mechanism_ssl")


def client_context(ca: OpensslCa, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca.certificate)
    context.load_cert_chain(*ca.make(name))
    return context


def configuration(port: int, gatehouse: str, ca: OpensslCa) -> str:
    """What docs/howto/http-decisions.md says, with certificates of openssl's making."""
    certificate, key = ca.make("broker", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    lines = {
        "mqtt.listeners.ssl.1": f"127.0.0.1:{port}",
        "mqtt.ssl_cert_login": "true",
        "ssl_cert_login_from": "common_name",
        "ssl_options.cacertfile": ca.folder / "ca.pem",
        "ssl_options.certfile": certificate,
        "ssl_options.keyfile": key,
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
        "auth_backends.1": "http",
        "auth_http.http_method": "post",
    } | {f"auth_http.{call}_path": f"{gatehouse}/{call}" for call in ("user", "vhost", "resource", "topic")}
    return "".join(f"{name} = {value}\n" for name, value in lines.items())
