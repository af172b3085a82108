"""A Mosquitto that trusts a CA of openssl's making, and certificates for its devices."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django import Settings

from brokers import queries, services
from brokers.core.values import AdapterKind, Broker, BrokerId, Listener
from kernel.core.clock import utc_now
from pki import queries as pki
from tests.brokers.device import Device
from tests.brokers.fleet import Enrolled, Fleet
from tests.brokers.mosquitto import LiveMosquitto
from tests.cast import ADA


@dataclass(frozen=True)
class OpensslCa:
    """A CA without a database, for tests of the adapter alone."""

    folder: Path

    @property
    def certificate(self) -> str:
        return (self.folder / "ca.pem").read_text()

    def make(self, name: str, *extensions: str) -> tuple[Path, Path]:
        """Paths of a certificate with that CN and of its key."""
        key, csr, pem = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl("req", "-new", *kind, "-keyout", key, "-subj", f"/CN={name}", "-out", csr)
        extra = self.folder / f"{name}.ext"
        extra.write_text("\n".join(extensions))
        self._ca("-in", csr, "-out", pem, "-extfile", extra, "-days", "2", "-batch", "-notext")
        return pem, key

    def revoke(self, name: str) -> None:
        """Enters the certificate of that name into the next CRL."""
        self._ca("-revoke", self.folder / f"{name}.pem")

    def crl(self) -> str:
        """A new CRL."""
        self._ca("-gencrl", "-out", self.folder / "crl.pem", "-crldays", "1")
        return (self.folder / "crl.pem").read_text()

    def _ca(self, *words: str | Path) -> None:
        _openssl("ca", "-config", self.folder / "ca.cnf", *words)


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def openssl_ca(tmp_path: Path) -> OpensslCa:
    return new_openssl_ca(tmp_path / "ca")


def new_openssl_ca(folder: Path) -> OpensslCa:
    folder.mkdir()
    for name, text in {"index.txt": "", "serial": "1000\n", "crlnumber": "01\n"}.items():
        (folder / name).write_text(text)
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndir={folder}\ndatabase={folder}/index.txt\nserial={folder}/serial\n"
        f"crlnumber={folder}/crlnumber\nnew_certs_dir={folder}\ncertificate={folder}/ca.pem\n"
        f"private_key={folder}/ca.key\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n"
    )
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    made = ("-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    _openssl("req", "-x509", *kind, *made, "-subj", "/CN=Test CA", "-days", "2")
    return OpensslCa(folder)


@pytest.fixture
def bare_mosquitto(tmp_path: Path, openssl_ca: OpensslCa) -> Iterator[LiveMosquitto]:
    """It runs, and holds nothing but its administrator."""
    certificate, key = openssl_ca.make("broker", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    broker = LiveMosquitto(tmp_path / "mosquitto")
    broker.prepare(
        client_ca=openssl_ca.certificate,
        crl=openssl_ca.crl(),
        server_chain=certificate.read_text(),
        server_key=key.read_text(),
    )
    broker.start()
    yield broker
    broker.stop()


@dataclass
class Hall:
    """A registered Mosquitto of the fleet, and its folder that Gatehouse writes CRLs to."""

    fleet: Fleet
    live: LiveMosquitto
    broker: Broker

    def now(self) -> Broker:
        """The broker as the database has it."""
        return queries.get_broker(id=self.broker.id)

    def plan_and_apply(self) -> None:
        """Applies what a plan says."""
        plan = services.plan_broker(broker=self.broker.id, actor=ADA, now=utc_now())
        services.apply_plan(broker=self.broker.id, plan=plan.id, accept_deviations=(), actor=ADA, now=utc_now())
        services.converge(broker=self.broker.id, now=utc_now())

    def device(self, enrolled: Enrolled) -> Device:
        """A connection that is not yet made."""
        port = self.live.device_port
        return Device(port=port, ca=self.fleet.trust, certificate=enrolled.certificate, key=enrolled.key)


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Path:
    settings.GATEHOUSE_HOME = tmp_path / "home"
    (tmp_path / "home" / "brokers").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def fleet(db: None, tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def make_hall(fleet: Fleet, home: Path, *, name: str = "hall-7") -> Hall:
    """It runs, is registered, and nothing was applied to it."""
    live = LiveMosquitto(home / "brokers" / name)
    chain, key = fleet.server_files(name)
    crls = pki.crl_bundle(domain=fleet.domain.id)
    live.prepare(client_ca=fleet.trust, crl=crls, server_chain=chain, server_key=key)
    live.start()
    broker = services.register_broker(
        domain=fleet.domain.id,
        name=name,
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={**live.connection, "files": {"directory": name}},
        listeners=[Listener(host="127.0.0.1", port=live.device_port)],
        actor=ADA,
        now=utc_now(),
    )
    return Hall(fleet=fleet, live=live, broker=broker)


@pytest.fixture
def hall(fleet: Fleet, home: Path) -> Iterator[Hall]:
    made = make_hall(fleet, home)
    yield made
    made.live.stop()


@pytest.fixture
def asking_broker(fleet: Fleet) -> BrokerId:
    """One that asks over HTTP: nothing is contacted."""
    made = services.register_broker(
        domain=fleet.domain.id,
        name="hall-7",
        kind=AdapterKind.HTTP_DECISIONS,
        connection={"dialect": "emqx"},
        listeners=[],
        actor=ADA,
        now=utc_now(),
    )
    return made.id
