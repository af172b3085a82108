"""A real Mosquitto with a rendered profile: who gets in, and what with."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from brokers.adapters.listener_probe import observe
from brokers.core.listener_probe import Aspect, Verdict, judge
from brokers.core.listener_profile import ListenerProfile, Make
from brokers.core.listener_renderers import render_listeners
from brokers.core.listener_rendering import Site
from brokers.core.values import Listener
from tests.brokers.conftest import OpensslCa, new_openssl_ca
from tests.brokers.device import Device, wait_until
from tests.brokers.mosquitto import PROGRAM
from tests.servers import free_port, is_open
from tests.servers import wait_until as wait_for


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> OpensslCa:
    return new_openssl_ca(tmp_path_factory.mktemp("profile") / "ca")


@pytest.fixture(scope="module")
def port(ca: OpensslCa) -> Iterator[int]:
    port, folder = free_port(), ca.folder
    certificate, key = ca.make("broker", "subjectAltName=IP:127.0.0.1")
    ca.make("stolen")
    ca.revoke("stolen")
    texts = {"server.pem": certificate.read_text(), "server.key": key.read_text(), "client-ca.pem": ca.certificate}
    profile = replace(ListenerProfile(make=Make.MOSQUITTO), folder=str(folder), max_packet_size=2_000)
    rendered = render_listeners(profile, Site(listeners=(Listener(host="127.0.0.1", port=port),)))
    user = "user root\n" if os.getuid() == 0 else ""
    for name, text in {**texts, "crl.pem": ca.crl(), "m.conf": user + rendered.files[0].text}.items():
        (folder / name).write_text(text)
    words = [PROGRAM, "-c", str(folder / "m.conf")]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: process.poll() is not None or is_open(port), what="Mosquitto listens")
            assert process.poll() is None
            yield port
        finally:
            process.terminate()


def device(ca: OpensslCa, port: int, name: str, *, client_id: str = "") -> Device:
    certificate, key = ca.make(name)
    return Device(port=port, ca=ca.certificate, certificate=certificate, key=key, client_id=client_id)


def test_device_with_a_certificate_gets_in_and_too_large_a_message_ends_it(ca: OpensslCa, port: int) -> None:
    good = device(ca, port, "dev-1")
    assert good.connect()
    assert good.subscribe("up/#")
    assert good.publish("up/1", b"x" * 1_000)
    assert good.hears("up/1")

    good._client.publish("up/1", b"x" * 3_000, qos=1)

    assert wait_until(lambda: good.ended)
    good.close()


def test_client_id_is_the_name_in_the_certificate(ca: OpensslCa, port: int) -> None:
    victim, thief = device(ca, port, "dev-2"), device(ca, port, "dev-3", client_id="dev-2")
    assert victim.connect()
    assert thief.connect()

    assert thief.subscribe("here")
    assert victim.publish("here")
    assert thief.hears("here")
    assert victim.connected, "the thief was given its own client id"
    victim.close()
    thief.close()


def test_revoked_certificate_is_refused(ca: OpensslCa, port: int) -> None:
    stolen = Device(port=port, ca=ca.certificate, certificate=ca.folder / "stolen.pem", key=ca.folder / "stolen.key")

    assert not stolen.connect()


def test_without_a_certificate_nothing_is_said(ca: OpensslCa, port: int) -> None:
    context = ssl.create_default_context(cadata=ca.certificate)

    with socket.create_connection(("127.0.0.1", port), timeout=90) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as spoken:
                spoken.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")
                answer = spoken.recv(4)
        except OSError:
            answer = b""

    assert answer == b""


def test_probe_finds_nothing_to_mend(ca: OpensslCa, port: int) -> None:
    listener = Listener(host="127.0.0.1", port=port)
    seen = observe(listener, trust_pem=ca.certificate, path="/mqtt", timeout=60)

    report = judge(listener, seen, profile=ListenerProfile(make=Make.MOSQUITTO), now=datetime.now(UTC))

    verdicts = {line.aspect: line.verdict for line in report.lines}
    assert verdicts.pop(Aspect.END) is Verdict.DOUBTFUL, "it is made for two days"
    assert set(verdicts.values()) == {Verdict.GOOD}


@pytest.mark.parametrize(("version", "taken"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_old_tls_is_refused(ca: OpensslCa, port: int, version: str, *, taken: bool) -> None:
    certificate, key = ca.make("dev-4")
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version, "-cipher", "ALL:@SECLEVEL=0"]
    words += ["-cert", str(certificate), "-key", str(key), "-CAfile", str(ca.folder / "ca.pem")]

    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)

    assert ("Verify return code: 0 (ok)" in done.stdout and "Cipher is (NONE)" not in done.stdout) is taken
