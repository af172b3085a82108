"""The embedded broker's files, ports and secrets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from pytest_django import Settings

from brokers import queries, services
from brokers.core.values import AdapterKind, Broker
from brokers.embedded import embedded_connection, embedded_listeners, prepare_embedded, refresh_embedded
from brokers.services.registering import EmbeddedRuns
from kernel import queries as journal
from kernel.core.clock import utc_now
from tests.brokers.fleet import Fleet
from tests.cast import ADA
from tests.servers import free_port, is_open, wait_until


@pytest.fixture
def broker(fleet: Fleet, home: Path, settings: Settings) -> Broker:
    settings.GATEHOUSE_MQTT_PORT = free_port()
    return services.register_broker(
        domain=fleet.domain.id,
        name="embedded",
        kind=AdapterKind.NATS,
        connection=embedded_connection(),
        listeners=embedded_listeners(),
        actor=ADA,
        now=utc_now(),
    )


def prepare() -> list[str]:
    words = prepare_embedded(now=utc_now())
    assert words is not None
    return words


def changes() -> list[str]:
    found = [entry for entry in journal.list_entries(limit=100) if entry.action == "brokers.broker.changed"]
    return [str(entry.after["changed"]) for entry in found]


def test_nothing_is_prepared_for_a_broker_that_is_not_registered(db: None, home: Path) -> None:
    assert prepare_embedded(now=utc_now()) is None


def test_server_takes_the_configuration(broker: Broker) -> None:
    program, *rest = prepare()
    done = subprocess.run([program, *rest, "-t"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_files_are_the_owners_alone(broker: Broker, home: Path) -> None:
    prepare()
    folder = home / "embedded"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(files) == {"connection.json", "nats.conf", "server.crt", "server.key", "ca.crt"}
    assert set(files.values()) == {0o600}


def test_everything_listens_on_loopback_with_mutual_tls(broker: Broker, home: Path, settings: Settings) -> None:
    prepare()
    conf = (home / "embedded" / "nats.conf").read_text()
    assert set(re.findall(r'listen: "?([0-9.]+):', conf)) == {"127.0.0.1"}
    assert f"127.0.0.1:{settings.GATEHOUSE_MQTT_PORT}" in conf
    assert "verify: true" in conf
    assert "http" not in conf  # no monitoring port: the system account tells


def test_server_certificate_is_for_loopback_and_openssl_agrees(broker: Broker, home: Path) -> None:
    prepare()
    folder = home / "embedded"
    for words in (["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"], ["-verify_ip", "::1"]):
        command = ["openssl", "verify", "-CAfile", "ca.crt", "-untrusted", "server.crt", "-purpose", "sslserver"]
        subprocess.run([*command, *words, "server.crt"], cwd=folder, check=True, capture_output=True, timeout=60)


def test_second_start_finds_everything_as_it_was(broker: Broker, home: Path) -> None:
    prepare()
    before = {path.name: path.read_bytes() for path in (home / "embedded").iterdir()}
    prepare()
    assert {path.name: path.read_bytes() for path in (home / "embedded").iterdir()} == before
    assert changes() == []


def test_secrets_differ_between_installations(db: None, settings: Settings, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        settings.GATEHOUSE_HOME = tmp_path / name
        found.append(embedded_connection())
    secret = ("system_password", "callout_password", "issuer_seed")
    assert not {found[0][name] for name in secret} & {found[1][name] for name in secret}
    assert all(len(found[0][name]) >= 32 for name in secret)


def test_connection_that_was_made_is_the_one_that_is_registered(broker: Broker) -> None:
    prepare()
    assert dict(queries.link_to(broker=broker.id).connection) == embedded_connection()


def test_port_that_is_taken_is_chosen_again(broker: Broker) -> None:
    before = embedded_connection()
    with socket.create_server(("127.0.0.1", before["port"])):
        prepare()
    after = embedded_connection()
    assert after["port"] != before["port"]
    assert {**after, "port": 0} == {**before, "port": 0}
    assert dict(queries.link_to(broker=broker.id).connection) == after
    assert changes() == ["connection"]


def test_folder_that_was_lost_is_made_again(broker: Broker, home: Path) -> None:
    prepare()
    (home / "embedded" / "connection.json").unlink()
    prepare()
    known = dict(queries.link_to(broker=broker.id).connection)
    assert known == json.loads((home / "embedded" / "connection.json").read_text())


def test_file_that_was_lost_or_emptied_is_made_again_at_the_next_start(broker: Broker, home: Path) -> None:
    prepare()
    for lost in ("nats.conf", "server.crt", "server.key", "ca.crt", "connection.json"):
        path = home / "embedded" / lost
        for damage in (path.unlink, partial(path.write_text, "")):
            damage()
            program, *rest = prepare()
            done = subprocess.run([program, *rest, "-t"], capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 0, (lost, done.stderr)


def test_another_mqtt_port_is_told_to_devices(broker: Broker, settings: Settings) -> None:
    settings.GATEHOUSE_MQTT_PORT = free_port()
    prepare()
    [endpoint] = queries.endpoints(broker.domain)
    assert (endpoint.port, endpoint.protocol_versions) == (settings.GATEHOUSE_MQTT_PORT, ("3.1.1",))
    assert changes() == ["listeners"]


def test_server_certificate_is_renewed_in_its_last_third(broker: Broker, home: Path) -> None:
    prepare()
    path = home / "embedded" / "server.crt"
    first = x509.load_pem_x509_certificate(path.read_bytes())
    life = first.not_valid_after_utc - first.not_valid_before_utc
    prepare_embedded(now=first.not_valid_before_utc + life * 0.6)
    assert x509.load_pem_x509_certificate(path.read_bytes()) == first
    prepare_embedded(now=first.not_valid_before_utc + life * 0.7)
    second = x509.load_pem_x509_certificate(path.read_bytes())
    assert second.not_valid_after_utc > first.not_valid_after_utc + timedelta(days=1)
    key = subprocess.run(
        ["openssl", "pkey", "-in", path.with_name("server.key"), "-pubout"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    shown = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-pubkey"], capture_output=True, check=True, timeout=60
    )
    assert key.stdout == shown.stdout


def served(port: int) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())


@pytest.mark.e2e
def test_running_server_shows_the_renewed_certificate(broker: Broker, home: Path, settings: Settings) -> None:
    now, path = utc_now(), home / "embedded" / "server.crt"
    assert not refresh_embedded(now=now)  # there is no server yet
    server = subprocess.Popen(prepare(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = settings.GATEHOUSE_MQTT_PORT
        wait_until(lambda: is_open(port), what="NATS listens")
        before = served(port)
        assert not refresh_embedded(now=now)
        assert refresh_embedded(now=now + (before.not_valid_after_utc - now) * 0.7)
        wait_until(lambda: served(port) != before, what="the new certificate")
        assert served(port) == x509.load_pem_x509_certificate(path.read_bytes())
        assert server.poll() is None
    finally:
        server.kill()
        server.wait(60)


def test_pid_that_is_another_programs_by_now_is_left_alone(broker: Broker, home: Path) -> None:
    prepare()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (home / "embedded" / "nats.pid").write_text(str(bystander.pid))
        (home / "embedded" / "ca.crt").unlink()
        assert refresh_embedded(now=utc_now())
        time.sleep(0.2)
        assert bystander.poll() is None  # SIGHUP would have ended it
    finally:
        bystander.kill()
        bystander.wait(60)


def test_it_is_forgotten_once_it_runs_no_more(broker: Broker, home: Path) -> None:
    prepare()
    server = subprocess.Popen(["sh", "-c", "sleep 60; :", str(home / "embedded" / "nats.conf")], start_new_session=True)
    try:
        (home / "embedded" / "nats.pid").write_text(str(server.pid))
        wait_until(lambda: queries.embedded_pid() == server.pid, what="the server's command line")
        with pytest.raises(EmbeddedRuns, match="forget it"):
            services.remove_broker(broker=broker.id, actor=ADA, now=utc_now())
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)
    services.remove_broker(broker=broker.id, actor=ADA, now=utc_now())
    assert queries.list_brokers(domains=None) == []
