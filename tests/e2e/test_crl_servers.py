"""CRLs where they count: nginx and Mosquitto refuse a revoked client alone, by the bundle of all levels."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kernel.core.ids import new_id
from pki import services
from pki.api.shelf import Shelf
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.models import Issuer as IssuerRow
from tests.cast import ADA, NORTH
from tests.e2e.user import KeyPair
from tests.servers import free_port, is_open, program, stop, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.django_db]

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        ssl_client_certificate {folder}/root.pem;
        ssl_verify_client on;
        ssl_verify_depth 2;
        ssl_crl {folder}/crls.pem;
        location / {{ return 200 "welcome"; }}
    }}
}}
"""
MOSQUITTO = """
user root
listener {port} 127.0.0.1
cafile {folder}/root.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
crlfile {folder}/crls.pem
require_certificate true
allow_anonymous true
"""


class Hall:
    """An issuing CA with shards, a server's key, and devices, in a folder of files that servers read."""

    def __init__(self, folder: Path) -> None:
        self.folder, now = folder, datetime.now(UTC)
        self.root = services.create_root(domain=NORTH, slug="hall-root", common_name="Root", actor=ADA, now=now)
        made = services.create_issuing_ca(parent=self.root.id, slug="hall-ca", common_name="CA", actor=ADA, now=now)
        IssuerRow.objects.filter(id=made.id).update(crl_shards=4)
        self.ca: Issuer = made
        (folder / "root.pem").write_text(self.root.certificate_pem)
        self.issue("server", "broker-server", common_name="localhost", ip_addresses=["127.0.0.1"])
        folder.chmod(0o755)

    def issue(self, name: str, profile: str = "device", common_name: str = "", **names: Any) -> IssuedCertificate:
        pair = KeyPair(self.folder, name)
        issued = services.issue_certificate(
            issuer=self.ca.id,
            profile=profile,
            csr=pair.csr.read_bytes(),
            holder=f"service:{name}",
            variables={"auth_id": name, "domain": "north", "id": str(new_id()), "common_name": common_name or name},
            actor=ADA,
            now=datetime.now(UTC),
            **names,
        )
        (self.folder / f"{name}.pem").write_text(issued.pem + issued.chain_pem)
        return issued

    def revoke(self, device: IssuedCertificate) -> None:
        now = datetime.now(UTC)
        services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)

    def fetch(self, slug: str, leaf: str) -> None:
        """What is served, as the file that the servers read."""
        now = datetime.now(UTC)
        services.publish_crl(issuer=self.ca.id, now=now)
        body = Shelf().find(slug, leaf, now=now).body
        (self.folder / "crls.pem").write_bytes(body.read(0, len(body)))


@pytest.fixture
def hall(tmp_path: Path, settings: Any) -> Hall:
    settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"
    return Hall(tmp_path)


@contextmanager
def running(words: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_until(lambda: is_open(port), what=f"{words[0]} listens")
        yield server
    finally:
        stop(server)


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    with running([program("nginx"), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"], port):
        yield port


def asks_nginx(folder: Path, name: str, port: int) -> str:
    """The status of an answer to that client."""
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", f"{folder}/root.pem"]
    words += ["--cert", f"{folder}/{name}.pem", "--key", f"{folder}/{name}.key", f"https://127.0.0.1:{port}/"]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120).stdout


def test_nginx_refuses_the_revoked_client_alone(hall: Hall) -> None:
    hall.issue("good")
    hall.revoke(hall.issue("bad"))
    hall.fetch("hall-ca", "crls.pem")
    with nginx(hall.folder) as port:
        assert asks_nginx(hall.folder, "good", port) == "200"
        assert asks_nginx(hall.folder, "bad", port) == "400"


def test_nginx_needs_the_crls_of_all_levels(hall: Hall) -> None:
    hall.issue("good")
    hall.fetch("hall-ca", "crl.pem")
    with nginx(hall.folder) as port:
        assert asks_nginx(hall.folder, "good", port) == "400"


def may_publish(folder: Path, name: str, port: int) -> bool:
    words = [program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(port), "-t", "x", "-m", "y", "-q", "1"]
    words += ["--cafile", f"{folder}/root.pem", "--cert", f"{folder}/{name}.pem", "--key", f"{folder}/{name}.key"]
    return subprocess.run(words, capture_output=True, check=False, timeout=120).returncode == 0


def test_mosquitto_refuses_who_is_revoked_once_it_reads_the_bundle_again(hall: Hall) -> None:
    hall.issue("good")
    bad = hall.issue("bad")
    hall.fetch("hall-ca", "crls.pem")
    port = free_port()
    (hall.folder / "mosquitto.conf").write_text(MOSQUITTO.format(folder=hall.folder, port=port))
    words = [program("mosquitto"), "-c", str(hall.folder / "mosquitto.conf")]
    with running(words, port) as server:
        assert may_publish(hall.folder, "good", port)
        assert may_publish(hall.folder, "bad", port)
        hall.revoke(bad)
        hall.fetch("hall-ca", "crls.pem")
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: not may_publish(hall.folder, "bad", port), what="the revoked one is refused")
        assert may_publish(hall.folder, "good", port)
