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
from brokers.core.listeners.first_connect import anonymous_connect
from brokers.core.listeners.probe import Aspect, Verdict, judge
from brokers.core.listeners.profile import ListenerProfile, Make
from brokers.core.listeners.renderers import render_listeners
from brokers.core.listeners.rendering import Site
from brokers.core.values import Listener
from tests.brokers.conftest import OpensslCa, new_openssl_ca
from tests.brokers.core.real_rabbitmq import Client, Closed
from tests.brokers.mosquitto import PROGRAM
from tests.servers import free_port, is_open, wait_until


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
            wait_until(lambda: process.poll() is not None or is_open(port), what="Mosquitto listens")
            assert process.poll() is None
            yield port
        finally:
            process.terminate()


def context(ca: OpensslCa, name: str = "") -> ssl.SSLContext:
    """Trusts the CA, and shows the certificate of that name if there is one."""
    made = ssl.create_default_context(cadata=ca.certificate)
    if name:
        made.load_cert_chain(ca.folder / f"{name}.pem", ca.folder / f"{name}.key")
    return made


def answer(port: int, tls: ssl.SSLContext) -> bytes:
    """What comes of a CONNECT; nothing if the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=90) as raw:
        try:
            with tls.wrap_socket(raw, server_hostname="127.0.0.1") as spoken:
                spoken.sendall(anonymous_connect("a"))
                return spoken.recv(4)
        except OSError:
            return b""


def test_device_with_a_certificate_gets_in_and_too_large_a_message_ends_it(ca: OpensslCa, port: int) -> None:
    ca.make("dev-1")
    good = Client(port, "", "", tls=context(ca, "dev-1"))
    good.subscribe("up/#")
    good.publish("up/1", b"x" * 1_000)
    assert good.receive_until("up/1") == []  # nothing came before it

    with pytest.raises((Closed, OSError)):
        good.publish("up/1", b"x" * 3_000)

    good.close()


def test_client_id_is_the_name_in_the_certificate(ca: OpensslCa, port: int) -> None:
    for name in ("dev-2", "dev-3"):
        ca.make(name)
    victim = Client(port, "", "", tls=context(ca, "dev-2"))
    thief = Client(port, "", "dev-2", tls=context(ca, "dev-3"))

    thief.subscribe("here")
    victim.publish("here")  # it is still there: the thief was given its own client id
    assert thief.receive_until("here") == []  # nothing came before it

    victim.close()
    thief.close()


def test_revoked_certificate_is_refused(ca: OpensslCa, port: int) -> None:
    ca.make("dev-5")

    assert answer(port, context(ca, "dev-5")) == b"\x20\x02\x00\x00"
    assert answer(port, context(ca, "stolen")) == b""


def test_without_a_certificate_nothing_is_said(ca: OpensslCa, port: int) -> None:
    assert answer(port, context(ca)) == b""


def test_probe_finds_nothing_to_mend(ca: OpensslCa, port: int) -> None:
    listener = Listener(host="127.0.0.1", port=port)
    seen = observe(listener, trust_pem=ca.certificate, path="/mqtt", timeout=60, in_all=600)

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
