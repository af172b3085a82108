"""The probe against openssl's own server, and against one that lets everybody in."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brokers.adapters.listener_probe import FORBIDDEN, SILENT, observe
from brokers.core.listeners.probe import Answer, Observation
from brokers.core.listeners.profile import TlsVersion
from brokers.core.values import Listener, Transport
from tests.brokers.conftest import OpensslCa, new_openssl_ca
from tests.brokers.open_broker import open_broker
from tests.servers import free_port, is_open, wait_until

TIMEOUT = 60.0
"""Of a connection: a busy machine is slow, and none of these has to run into it."""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> OpensslCa:
    made = new_openssl_ca(tmp_path_factory.mktemp("probe") / "ca")
    made.make("broker", "subjectAltName=IP:127.0.0.1", "extendedKeyUsage=serverAuth")
    return made


@contextmanager
def openssl_server(ca: OpensslCa, *words: str) -> Iterator[int]:
    """The port of `openssl s_server` with the broker's certificate. It requires one too, and so never waits for us."""
    port = free_port()
    words = ("-Verify", "1", "-verify_return_error", "-CAfile", str(ca.folder / "ca.pem"), *words)
    files = ["-cert", str(ca.folder / "broker.pem"), "-key", str(ca.folder / "broker.key")]
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *files, "-quiet", *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: process.poll() is not None or is_open(port), what="openssl listens")
            yield port
        finally:
            process.kill()


def look(
    port: int,
    ca: OpensslCa,
    *,
    host: str = "127.0.0.1",
    transport: Transport = Transport.MQTTS,
    trust: str | None = None,
) -> Observation:
    listener = Listener(host=host, port=port, transport=transport)
    return observe(
        listener,
        trust_pem=ca.certificate if trust is None else trust,
        path="/mqtt",
        timeout=TIMEOUT,
        in_all=10 * TIMEOUT,
    )


def test_server_that_requires_certificates_and_staples(ca: OpensslCa) -> None:
    response, folder = ca.folder / "ocsp.der", ca.folder
    words = ["openssl", "ocsp", "-index", folder / "index.txt", "-CA", folder / "ca.pem", "-issuer", folder / "ca.pem"]
    words += ["-rsigner", folder / "ca.pem", "-rkey", folder / "ca.key", "-cert", folder / "broker.pem"]
    subprocess.run([*map(str, words), "-respout", str(response)], check=True, capture_output=True, timeout=120)

    with openssl_server(ca, "-status_file", str(response)) as port:
        seen = look(port, ca)

    old, new = dict.fromkeys((TlsVersion.V1_0, TlsVersion.V1_1), False), (TlsVersion.V1_2, TlsVersion.V1_3)
    assert seen.versions == old | dict.fromkeys(new, True)
    assert (seen.chain_fault, seen.named, seen.stapled, seen.asks_certificate) == ("", True, True, True)
    assert seen.answer is Answer.REFUSED_IN_TLS
    assert seen.not_after is not None
    assert 0 <= (seen.not_after - datetime.now(UTC)).days <= 2


def test_old_server_of_another_name_and_another_ca(ca: OpensslCa, tmp_path: Path) -> None:
    stranger = new_openssl_ca(tmp_path / "stranger")
    ca.make("elsewhere", "subjectAltName=DNS:elsewhere.example")
    files = ("-cert", str(ca.folder / "elsewhere.pem"), "-key", str(ca.folder / "elsewhere.key"))

    with openssl_server(ca, *files, "-no_tls1_3", "-cipher", "ALL:@SECLEVEL=0", "-min_protocol", "TLSv1.1") as port:
        seen = look(port, ca, trust=stranger.certificate)

    assert [version for version, taken in seen.versions.items() if taken] == [TlsVersion.V1_1, TlsVersion.V1_2]
    assert seen.chain_fault
    assert (seen.named, seen.stapled) == (False, False)


def test_server_of_1_2_alone_that_requires_certificates_is_trusted_all_the_same(ca: OpensslCa) -> None:
    with openssl_server(ca, "-tls1_2") as port:
        seen = look(port, ca)

    assert (seen.chain_fault, seen.named) == ("", True)
    assert seen.answer is Answer.REFUSED_IN_TLS


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (0, Answer.ADMITTED),
        (1, Answer.OTHER),  # another version
        (2, Answer.OTHER),  # another client id
        (3, Answer.OTHER),  # no place left
        (4, Answer.REFUSED),
        (5, Answer.REFUSED),
        (0x86, Answer.REFUSED),
        (0x97, Answer.OTHER),  # quota exceeded
        (None, Answer.CLOSED),
    ],
)
def test_who_lets_strangers_in_is_found_out(
    ca: OpensslCa, transport: Transport, code: int | None, answer: Answer
) -> None:
    files = ca.folder / "broker.pem", ca.folder / "broker.key"
    with open_broker(*files, websocket=transport is Transport.WSS, code=code) as port:
        seen = look(port, ca, transport=transport)

    assert seen.answer is answer
    assert seen.asks_certificate is False


def test_path_without_a_websocket_says_nothing_of_who_is_let_in(ca: OpensslCa) -> None:
    files = ca.folder / "broker.pem", ca.folder / "broker.key"
    with open_broker(*files, websocket=True, upgrade="404 Not Found") as port:
        assert look(port, ca, transport=Transport.WSS).answer is Answer.OTHER


def test_who_has_no_place_left_does_not_refuse_old_versions(ca: OpensslCa) -> None:
    files = ca.folder / "broker.pem", ca.folder / "broker.key"
    with open_broker(*files, places=3) as port:
        seen = look(port, ca)

    assert seen.versions == {TlsVersion.V1_2: True, TlsVersion.V1_3: True}
    assert seen.answer is Answer.CLOSED


def test_certificate_with_names_that_nobody_reads_ends_no_probe(ca: OpensslCa) -> None:
    with open_broker(*ca.make("odd", "subjectAltName=DER:3002a300")) as port:  # an x400Address
        assert look(port, ca).named is None


def test_nobody_there_is_told_like_whatever_else_is_no_listener(ca: OpensslCa) -> None:
    assert look(free_port(), ca) == Observation(fault=SILENT, versions={})


def test_what_speaks_no_tls_is_asked_no_more(ca: OpensslCa) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as door:

        def hang_up() -> None:
            while True:
                try:
                    door.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up)
        thread.start()
        seen = look(door.getsockname()[1], ca)
        door.shutdown(socket.SHUT_RDWR)
    thread.join(90)

    assert seen == Observation(fault=SILENT, versions={})


def test_name_that_leads_to_what_is_never_a_broker_is_not_connected_to(ca: OpensslCa) -> None:
    assert look(80, ca, host="2852039166") == Observation(fault=FORBIDDEN, versions={})  # 169.254.169.254


def test_who_drips_is_left_when_the_time_for_all_is_over(ca: OpensslCa) -> None:
    """It would be looked at for minutes: each connection is taken, and nothing is ever said on it."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        listener, began = Listener(host="127.0.0.1", port=door.getsockname()[1]), time.monotonic()
        seen = observe(listener, trust_pem=ca.certificate, path="/mqtt", timeout=TIMEOUT, in_all=0.2)
    assert seen == Observation(fault=SILENT, versions={})
    assert time.monotonic() - began < TIMEOUT


def test_chain_is_not_good_without_anything_to_trust(ca: OpensslCa) -> None:
    with openssl_server(ca) as port:
        assert look(port, ca, trust="").chain_fault == "the domain trusts no CA yet"
