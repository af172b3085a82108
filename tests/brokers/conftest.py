"""A Mosquitto that trusts a CA of openssl's making, and certificates for its devices."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.brokers.mosquitto import LiveMosquitto


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
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def openssl_ca(tmp_path: Path) -> OpensslCa:
    folder = tmp_path / "ca"
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
