"""What a real server makes of our answers to its callout."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import warnings
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from brokers.core.nats.policy import NOTHING, NatsPermissions, permissions
from tests.brokers.conftest import OpensslCa
from tests.brokers.nats.conftest import Open, own_topics
from tests.brokers.nats.server import Doorman, LiveNats
from tests.brokers.subjects import PUBLISH, SUBSCRIBE, rule, subject
from tests.e2e.mqtt import MqttDevice
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


def test_chain_client_id_and_username_are_told(nats: LiveNats, device: Open) -> None:
    with Doorman(nats, own_topics) as doorman:
        pump = device("pump-1")
        pump.client.username_pw_set("a-name", "a-password-nobody-should-see")
        assert pump.connect()
        for client_id in ("pump.1", "pump*", "pump>", "pump 1"):
            odd = device("pump-1", client_id=client_id)
            assert not odd.connect()
            assert odd.connack == 0x85  # paho's name of CONNACK 2, identifier rejected
    [asked] = doorman.asked
    assert (asked.kind, asked.client_id, asked.username, asked.address) == ("mqtt", "pump-1", "a-name", "127.0.0.1")
    assert [pem.count("BEGIN CERTIFICATE") for pem in asked.chain] == [1, 1]
    assert "a-password-nobody-should-see" not in nats.log() + repr(asked)


def test_granted_publish_arrives_and_no_other_does(nats: LiveNats, device: Open) -> None:
    with Doorman(nats, own_topics):
        pump, ear = device("pump-1"), device("ear")
        assert pump.connect()
        assert ear.connect()
        assert ear.subscribe("north/+/up/#") == 1
        for topic in ("north/pump-2/up/t", "north/pump-1/up/secret"):
            denied = pump.client.publish(topic, b"denied", qos=1)
            assert pump.wait_for(denied.is_published, 60)  # it is acknowledged all the same
        pump.publish("north/pump-1/up/t", b"genuine")
        assert ear.received(b"genuine")
        assert [body for _, body in ear.messages] == [b"genuine"]


def test_deny_holds_at_each_qos_and_for_what_is_retained_and_all_is_not_the_servers_own(
    nats: LiveNats, device: Open
) -> None:
    """Before 2.12.12 and 2.14.3 the first did not; an allow of `>` alone shows $JS and $SYS."""
    every = frozenset({*PUBLISH, *SUBSCRIBE})
    policy = (rule("allow", every, "#"), rule("deny", SUBSCRIBE, "a/secret/#"))
    with Doorman(nats, lambda asked: permissions(subject(asked.client_id, *policy))):
        sender, soon, late = device("sender"), *([device(f"{when}-{qos}") for qos in range(3)] for when in ("a", "b"))
        assert all(each.connect() for each in (sender, *soon, *late))
        assert [each.subscribe("#", qos=qos) for qos, each in enumerate(soon)] == [0, 1, 2]
        for topic in ("a/secret/x", "a/secret", "a/open"):
            sender.client.publish(topic, topic.encode(), qos=1, retain=True)
        assert all(each.received(b"a/open") for each in soon)
        for qos, each in enumerate(late):  # it is kept a moment after it was brought

            def is_brought(each: MqttDevice = each, qos: int = qos) -> bool:
                return each.subscribe("#", qos=qos) == qos and each.received(b"a/open", seconds=1)

            wait_until(is_brought, what="what is retained")
        sender.publish("a/end", b"end")
        assert all(each.received(b"end") for each in (*soon, *late))
        assert {topic for each in (*soon, *late) for topic, _ in each.messages} == {"a/open", "a/end"}
        assert all(sender.subscribe(topic) == 0x80 for topic in ("$JS/#", "$SYS/#", "$MQTT/#", "a/secret/#"))


@pytest.mark.parametrize("topic", ["north/pump-2/down/#", "#", "+/+/down/#", "$SYS/#", "$JS/API/#", "$MQTT/#"])
def test_other_subscription_is_refused(nats: LiveNats, device: Open, topic: str) -> None:
    with Doorman(nats, own_topics):
        pump = device("pump-1")
        assert pump.connect()
        assert pump.subscribe(topic) == 0x80


def test_empty_lists_grant_nothing(nats: LiveNats, device: Open) -> None:
    def empty(_: object) -> NatsPermissions:
        return NatsPermissions(publish_allow=(), publish_deny=(), subscribe_allow=(), subscribe_deny=())

    with Doorman(nats, lambda asked: own_topics(asked) if asked.client_id == "ear" else empty(asked)):
        pump, ear = device("pump-1"), device("ear")
        assert pump.connect()
        assert ear.connect()
        assert pump.subscribe("north/pump-1/down/#") == 0x80
        assert ear.subscribe("north/+/up/#") == 1
        pump.publish("north/pump-1/up/t", b"x")
        assert not ear.received(b"x", seconds=0.5)


def test_default_permissions_grant_nothing(nats: LiveNats, device: Open) -> None:
    with Doorman(nats, lambda _: NOTHING):
        pump = device("pump-1")
        assert pump.connect()
        assert [pump.subscribe(topic) for topic in ("a", "#", "$SYS/#")] == [0x80, 0x80, 0x80]


def test_grant_ends_by_itself(nats: LiveNats, device: Open) -> None:
    with Doorman(nats, own_topics) as doorman:
        doorman.life = timedelta(seconds=2)
        pump = device("pump-1")
        pump.connect()  # on a busy machine it may have ended again before we look
        assert pump.connack == 0
        assert pump.wait_closed()


def test_refused_device_does_not_disturb_whom_it_names(nats: LiveNats, device: Open) -> None:
    with Doorman(nats, lambda asked: own_topics(asked) if "CN=thief" not in subject_of(asked.chain[0]) else None):
        victim = device("victim", clean=False)
        assert victim.connect()
        assert victim.subscribe("north/victim/down/#") == 1
        thief = device("thief", client_id="victim", clean=False)
        assert not thief.connect()
        assert (thief.connack, thief.session_present) == (0x87, False)  # paho's name of CONNACK 5, not authorized
        assert not victim.wait_closed(seconds=0.5)
        victim.close()

        def comes_back() -> bool:
            """The server takes about a second to let a client id go."""
            again = device("victim", clean=False)
            return again.connect() and again.session_present

        wait_until(comes_back, what="the victim's session is there still")


def test_nobody_enters_while_nobody_answers(nats: LiveNats, device: Open) -> None:
    assert not device("pump-1").connect()
    with Doorman(nats, own_topics):
        assert device("pump-1").connect()


@pytest.mark.parametrize("account", ["system", "callout"])
def test_our_own_accounts_do_not_enter_over_mqtt(nats: LiveNats, device: Open, account: str) -> None:
    known = nats.connection
    with Doorman(nats, own_topics) as doorman:
        pump = device("pump-1")
        pump.client.username_pw_set(str(known[f"{account}_user"]), str(known[f"{account}_password"]))
        assert not pump.connect()
    assert doorman.asked == []


def test_nobody_is_heard_without_certificate_of_our_ca(nats: LiveNats, tmp_path: Path) -> None:
    own = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    files = ("-keyout", str(tmp_path / "self.key"), "-out", str(tmp_path / "self.pem"), "-subj", "/CN=pump-1")
    subprocess.run(["openssl", *own, *files], check=True, capture_output=True)
    none, self_signed = (ssl.create_default_context(cafile=str(nats.folder / "ca.crt")) for _ in range(2))
    self_signed.load_cert_chain(tmp_path / "self.pem", tmp_path / "self.key")
    with Doorman(nats, own_topics) as doorman:
        for context in (None, none, self_signed):
            assert knock(nats.mqtt_port, context) == b""
    assert doorman.asked == []


def test_old_tls_is_refused(nats: LiveNats, openssl_ca: OpensslCa) -> None:
    context = ssl.create_default_context(cafile=str(nats.folder / "ca.crt"))
    certificate, key = openssl_ca.make("pump-1", "extendedKeyUsage=clientAuth")
    context.load_cert_chain(certificate, key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with Doorman(nats, own_topics):
        assert knock(nats.mqtt_port, context) == b""


@pytest.mark.parametrize(
    "options", [{}, {"user": "test-system", "pass": "guessed"}, {"auth_token": "t"}, {"user": "pump-1", "pass": ""}]
)
def test_nats_protocol_is_refused(nats: LiveNats, options: dict[str, str]) -> None:
    with (
        Doorman(nats, lambda asked: own_topics(asked) if asked.kind == "mqtt" else None),
        socket.create_connection(("127.0.0.1", nats.client_port), timeout=60) as wire,
    ):
        assert wire.recv(4096).startswith(b"INFO ")
        wire.sendall(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
        assert b"Authorization Violation" in wire.recv(4096)


def knock(port: int, context: ssl.SSLContext | None) -> bytes:
    """What the server says to a CONNECT of pump-1."""
    connect = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x1e\x00\x06pump-1"
    try:
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        with plain, context.wrap_socket(plain, server_hostname="localhost") if context else plain as wire:
            wire.sendall(connect)
            return wire.recv(100)
    except OSError:
        return b""


def subject_of(pem: str) -> str:
    return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()
