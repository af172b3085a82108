"""A real RabbitMQ on bad days, with the configuration that its listener profile comes to.

It verifies tokens as well, to show why nobody is told to let it (docs/adr/0013-rabbitmq-and-tokens.md).
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from brokers.adapters.rabbitmq import RabbitmqAdapter
from brokers.core.access_token import sign_access_token
from brokers.core.listeners.profile import ListenerProfile, Make
from brokers.core.listeners.rabbitmq import render_rabbitmq
from brokers.core.listeners.rendering import Site
from brokers.core.mosquitto.conf import CLIENT_CA_FILE, SERVER_CERTIFICATE_FILE, SERVER_KEY_FILE
from brokers.core.ports import BrokerUnreachable, Standing
from brokers.core.rabbitmq.document import accounts_in
from brokers.core.rabbitmq.state import RabbitState
from brokers.core.rabbitmq.version import version_note
from brokers.core.values import Listener
from tests.brokers.adapters.test_rabbitmq import HUB, PASSWORD, PLUGINS, RIGHTS, House, bring_to, end, refused
from tests.brokers.bringing import all_of, only
from tests.brokers.conftest import OpensslCa, new_openssl_ca
from tests.brokers.core.real_rabbitmq import Client, Closed, rabbitmq
from tests.brokers.core.test_access_token import TOKEN
from tests.brokers.subjects import DOWN, UP, subject
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.e2e

OTHERS = ("rabbitmq_web_mqtt", "rabbitmq_stomp", "rabbitmq_web_stomp", "rabbitmq_auth_backend_oauth2")
TOKENS = """\
auth_backends.1 = internal
auth_backends.2.authn = rabbit_auth_backend_oauth2
auth_backends.2.authz = internal
auth_oauth2.resource_server_id = north
auth_oauth2.algorithms.1 = ES256
auth_oauth2.signing_keys.ours = {key}
"""
MOST = 40
"""Connections, with some ten more: few enough to be opened in a second."""
KEY = ECKey.generate_key("P-256")
ROOM = "rabbit_disk_monitor set_disk_free_limit [{octets}]"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("rabbitmq")
    ca = new_openssl_ca(folder / "ca")
    certificate, key = ca.make("broker", "subjectAltName=IP:127.0.0.1")
    for path, name in ((certificate, SERVER_CERTIFICATE_FILE), (key, SERVER_KEY_FILE)):
        shutil.copy(path, folder / name)
    (folder / CLIENT_CA_FILE).write_text(ca.certificate)
    (folder / "crls").mkdir()
    (folder / "tokens.pem").write_bytes(KEY.as_pem(private=False))
    write_crl(ca)
    port = free_port()
    site = Site(listeners=(Listener(host="127.0.0.1", port=port),), version="3.10.8")
    profile = ListenerProfile(make=Make.RABBITMQ, check_crl=True, folder=str(folder), max_connections=MOST)
    conf, advanced = render_rabbitmq(profile, site).files
    lines = [line for line in conf.text.splitlines() if "listeners.tcp = none" not in line or line.startswith("stomp")]
    lines += [f"{plugin}.tcp.port = {free_port()}" for plugin in ("web_mqtt", "web_stomp")]
    lines.append("collect_statistics_interval = 1000")
    more = "\n".join(lines) + "\n" + TOKENS.format(key=folder / "tokens.pem")
    with rabbitmq(folder, plugins=(*PLUGINS, *OTHERS), more=more, advanced=advanced.text) as rabbit:
        house = House(rabbit=rabbit, tls_port=port, ca=ca)
        make_room_for_us(house)
        yield house


def make_room_for_us(house: House) -> None:
    house.ask("PUT", "users/gate%2Fhouse", {"password": PASSWORD, "tags": "administrator"})
    house.ask("PUT", "permissions/%2F/gate%2Fhouse", RIGHTS)


@pytest.fixture
def house(running: House) -> Iterator[House]:
    yield running
    bring_to(running.adapter(), all_of())


def write_crl(ca: OpensslCa) -> Path:
    """A new CRL where the broker looks for it."""
    crl = ca.crl()
    told = subprocess.run(["openssl", "crl", "-hash", "-noout"], input=crl.encode(), capture_output=True, check=True)
    path = ca.folder.parent / "crls" / f"{told.stdout.decode().strip()}.r0"
    path.write_text(crl)
    return path


@contextmanager
def breaking(port: int, *, after: int, how: str) -> Iterator[int]:
    """The port of a stand-in for what is at that port. So many requests pass; then it `fails`, `hangs up`, or, `late`,
    lets one pass and hangs up without its answer.
    """
    passed = 0

    class Between(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            nonlocal passed
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            passed += 1
            if passed > after and how != "late":
                self.close_connection = True
                if how == "fails":
                    self.answer(503, b'{"reason":"it is too much"}')
                return
            real = HTTPConnection("127.0.0.1", port, timeout=60)
            real.request(self.command, self.path, body=body, headers=dict(self.headers))
            answer = real.getresponse()
            octets = answer.read()
            real.close()
            self.close_connection = passed > after
            if not self.close_connection:
                self.answer(answer.status, octets)

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    for method in ("GET", "PUT", "POST", "DELETE"):
        setattr(Between, f"do_{method}", Between.pass_on)
    with ThreadingHTTPServer(("127.0.0.1", free_port()), Between) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def accounts(adapter: RabbitmqAdapter) -> RabbitState:
    return accounts_in(adapter.read().artifact, vhost="/")


def test_batch_that_breaks_off_anywhere_is_finished_and_nobody_keeps_or_gets_too_much(house: House) -> None:
    adapter = house.adapter()
    before = all_of(subject("alpha", UP, DOWN), subject("beta", UP), subject("gamma", UP))
    gamma = subject("gamma", standing=Standing.BARRED)
    after = all_of(subject("alpha", DOWN), subject("beta", UP, DOWN), gamma, subject("delta", UP))
    for broken_after in range(40):
        bring_to(adapter, before)
        old, losing = accounts(adapter), [house.device("alpha"), house.device("gamma")]
        for name, device in zip(("alpha", "gamma"), losing, strict=True):
            device.publish(f"north/{name}/up/t")
        steps = adapter.plan(after, adapter.read())
        how = ("fails", "hangs up", "late")[broken_after % 3]
        with breaking(house.rabbit.management, after=broken_after, how=how) as port:
            if broken_after < len(steps):
                with pytest.raises(BrokerUnreachable):
                    house.adapter(port=port).apply(steps, between=lambda: None)
            else:
                house.adapter(port=port).apply(steps, between=lambda: None)
        half = accounts(adapter)
        bring_to(adapter, after)
        new = accounts(adapter)
        for name, user in half.users.items():
            known = [state.users[name] for state in (old, new) if name in state.users]
            assert user.permission in (None, *(each.permission for each in known)), (broken_after, name)
            assert user.permission is None or user.topics in [each.topics for each in known], (broken_after, name)
        for name, device in zip(("alpha", "gamma"), losing, strict=True):
            end(device, f"north/{name}/up/t")
        if broken_after >= len(steps):
            break
    assert broken_after == len(steps)


def test_busy_publisher_that_loses_its_topic_is_ended(house: House) -> None:
    """RabbitMQ remembers the last twelve topics of a connection that never rests: it would publish for ever."""
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", UP, DOWN)))
    alpha, ended, count = house.device("alpha"), Event(), 0

    def publish() -> None:
        nonlocal count
        try:
            while True:
                alpha.publish("north/alpha/up/t")
                count += 1
                time.sleep(0.005)
        except Closed:
            alpha.close()
            ended.set()

    thread = Thread(target=publish)
    thread.start()
    wait_until(lambda: count > 20, what="it publishes")
    bring_to(adapter, only(subject("alpha", DOWN)))
    assert ended.wait(60)
    thread.join()


def test_broker_that_comes_back_empty_gets_everything_again(house: House) -> None:
    adapter, desired = house.adapter(), all_of(subject("alpha", UP, DOWN), subject("hub", HUB))
    bring_to(adapter, desired)
    house.device("alpha", keep=True).close()
    for name in ("alpha", "hub", "gate%2Fhouse"):
        house.ask("DELETE", f"users/{name}")
    house.ask("DELETE", "vhosts/%2F")
    with pytest.raises(BrokerUnreachable, match="refuses our account"):
        adapter.read()
    house.ask("PUT", "vhosts/%2F")
    house.ask("PUT", "permissions/%2F/guest", {"configure": ".*", "write": ".*", "read": ".*"})
    make_room_for_us(house)
    with pytest.raises(Closed):
        house.device("alpha")
    assert set(bring_to(adapter, desired)) == {"set-user", "set-topics", "set-permission"}
    alpha, hub = house.device("alpha"), house.device("hub")
    alpha.subscribe("north/alpha/down/#")
    hub.publish("north/alpha/down/end")
    assert alpha.receive_until("north/alpha/down/end") == []
    assert refused(alpha, "north/hub/up/t")
    hub.close()


def test_two_workers_at_once_do_not_harm(house: House) -> None:
    adapter = house.adapter()
    names = [f"pump-{number}" for number in range(6)]
    bring_to(adapter, all_of(*(subject(name, UP, DOWN) for name in names), subject("old", UP)))
    desired = all_of(*(subject(name, DOWN) for name in names), subject("new", UP))
    steps = adapter.plan(desired, adapter.read())

    def work() -> None:
        with suppress(BrokerUnreachable):  # RabbitMQ fails (500) for the later of two that delete one account at once
            house.adapter().apply(steps, between=lambda: None)

    with ThreadPoolExecutor(2) as workers:
        for done in [workers.submit(work) for _ in range(2)]:
            done.result()
    bring_to(adapter, desired)
    house.device("new").close()


def alarmed(house: House) -> bool:
    return house.ask("GET", "nodes?columns=disk_free_alarm") == [{"disk_free_alarm": True}]


def test_full_disk_is_told_and_does_not_keep_anybody_from_being_thrown_out(house: House) -> None:
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    alpha, beta = house.device("alpha"), house.device("beta")
    try:
        house.rabbit.run(ROOM.format(octets=10**18))
        wait_until(lambda: alarmed(house), what="the alarm is told")
        assert "takes no message from anybody" in adapter.read().notes[-1]
        barred = subject("alpha", standing=Standing.BARRED)
        assert bring_to(adapter, only(barred)) == ["delete-permission", "delete-connection", "set-topics"]
        assert refused(alpha, "north/alpha/up/t")
    finally:
        house.rabbit.run(ROOM.format(octets=50_000_000))
    wait_until(lambda: not alarmed(house), what="the alarm is over")
    beta.publish("north/beta/up/t")
    beta.close()


def test_rendered_configuration_opens_nothing_to_others_and_guest_is_told(house: House) -> None:
    applied = house.adapter().read()
    assert [note.split(" with")[0] for note in applied.notes] == ["RabbitMQ still has the account guest"]
    newer = replace(applied, version="4.1.0")
    assert house.adapter().effect(all_of(), newer).warnings == (version_note("4.1.0"), *applied.notes)


def test_who_is_too_many_waits_until_somebody_goes(house: House) -> None:
    bring_to(house.adapter(), all_of(subject("beta", UP)))
    house.device("beta").close()
    context = ssl.create_default_context(cadata=house.ca.certificate)
    context.load_cert_chain(house.ca.folder / "beta.pem", house.ca.folder / "beta.key")
    with ExitStack() as opened:

        def is_taken() -> bool:
            raw = opened.enter_context(socket.create_connection(("127.0.0.1", house.tls_port), timeout=5))
            try:
                opened.enter_context(context.wrap_socket(raw, server_hostname="127.0.0.1"))
            except TimeoutError:
                return False
            return True

        taken = next(number for number in range(3 * MOST) if not is_taken())
    assert MOST <= taken <= MOST + 12
    house.device("beta").close()


def test_name_with_a_colon_is_a_name_with_the_rendered_configuration(house: House) -> None:
    house.ask("PUT", "vhosts/plant")
    bring_to(house.adapter(), all_of(subject("plant:beta", UP)))
    device = house.device("plant:beta")
    device.publish("north/plant:beta/up/t")
    assert refused(device, "north/beta/up/t")
    house.ask("DELETE", "vhosts/plant")


def test_revoked_certificate_keeps_its_connection_and_a_missing_crl_lets_nobody_in(house: House) -> None:
    bring_to(house.adapter(), all_of(subject("gone", UP), subject("beta", UP)))
    gone = house.device("gone")
    house.ca.revoke("gone")
    path = write_crl(house.ca)
    with pytest.raises(Closed):
        house.device("gone")
    gone.publish("north/gone/up/t")
    gone.close()
    house.device("beta").close()
    for spoil in (path.unlink, lambda: path.write_text("no CRL")):
        spoil()
        with pytest.raises(Closed):
            house.device("beta")
    write_crl(house.ca)
    house.device("beta").close()


def token(**claims: object) -> str:
    """One that RabbitMQ would verify, with these claims beside what it needs."""
    ends = int(time.time()) + 600
    payload = json.dumps({"sub": "alpha", "aud": "north", "exp": ends, "scope": "", **claims})
    return jws.serialize_compact({"alg": "ES256", "typ": "JWT", "kid": "ours"}, payload, KEY)


def test_token_of_ours_opens_nothing(house: House) -> None:
    bring_to(house.adapter(), all_of(subject("alpha", UP)))
    now = datetime.now(UTC)
    given = replace(TOKEN, auth_id="alpha", client_id="alpha", issued_at=now, expires_at=now + timedelta(minutes=10))
    text = sign_access_token(given, issuer="https://gatehouse.example", kid="ours", key=KEY)
    assert not house.lets_in("alpha", text)
    assert house.lets_in("alpha", token())  # what it lacks is a scope


def test_what_tokens_would_open(house: House) -> None:
    adapter, beta = house.adapter(), subject("beta", UP)
    bring_to(adapter, all_of(subject("alpha", UP), beta))
    port = house.rabbit.port
    hidden = Client(port, "not-alpha", "alpha", password=token())
    assert adapter.disconnect(subject("alpha").principal) == 0  # it is known by the name that was told at CONNECT
    hidden.publish("north/alpha/up/t")
    hidden.close()
    other = Client(port, "alpha", "alpha", password=token(client_id="beta"))  # before `sub`, in 3.10
    other.publish("north/beta/up/t")
    other.close()
