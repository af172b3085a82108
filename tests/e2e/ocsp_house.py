"""An installation of which only PostgreSQL and web processes run, and which tests ask about certificates."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from cryptography import x509
from cryptography.x509 import ocsp

from console.processes import web_words
from pki.core.ocsp_request import build_request
from pki.core.pem import encode_pem
from tests.e2e.house import House
from tests.programs import call
from tests.servers import wait_until

_SETUP = "import os, sys, json, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'console.settings'; django.setup()\n"
_ISSUE = """
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from pki import queries, services
issuer, made = queries.find_issuer(slug=sys.argv[1]), []
profile, extra = sys.argv[3], {"ip_addresses": ["127.0.0.1"]} if sys.argv[3] == "broker-server" else {}
for number in range(int(sys.argv[2])):
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    name = f"{profile}-{number}"
    variables = {"auth_id": name, "common_name": name, "domain": "default", "id": name}
    issued = services.issue_certificate(
        issuer=issuer.id, profile=profile, csr=csr.public_bytes(serialization.Encoding.DER),
        holder=f"service:{sys.argv[4][:30]}-{name}", variables=variables, actor=SYSTEM, now=utc_now(), **extra,
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    made.append({"id": str(issued.id), "pem": issued.pem, "chain": issued.chain_pem, "key": pem})
print(json.dumps(made))
"""
_REVOKE = """
import time
from uuid import UUID
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from pki import services
from pki.core.values import ReasonCode
for id in sys.argv[1:]:
    services.revoke_certificate(certificate=UUID(id), reason=ReasonCode.KEY_COMPROMISE, actor=SYSTEM, now=utc_now())
print(time.time())
"""
_ENSURE_SIGNER = """
from kernel.core.clock import utc_now
from pki import queries, services
services.ensure_ocsp_signer(issuer=queries.find_issuer(slug=sys.argv[1]).id, now=utc_now())
print("made")
"""
_PREPARE = """
from kernel.core.clock import utc_now
from pki import queries, services
from pki.services import ocsp_editions
ocsp_editions.FEWEST = 1
ocsp_editions._is_fresh = lambda *_, **__: False
print(services.prepare_ocsp_answers(issuer=queries.find_issuer(slug=sys.argv[1]).id, now=utc_now()))
"""


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key, and where both stand as files."""

    id: str
    certificate: x509.Certificate
    chain: str
    folder: Path

    @property
    def key_file(self) -> Path:
        """Its private key."""
        return self.folder / "key.pem"

    @property
    def chain_file(self) -> Path:
        """It and the issuing CA."""
        return self.folder / "chain.pem"


@dataclass
class OcspHouse:
    """The installation; `issuer` is its issuing CA."""

    house: House
    workers: int
    web: subprocess.Popen[bytes] | None = None
    issuer: x509.Certificate = field(init=False)

    @property
    def slug(self) -> str:
        """The issuing CA's."""
        return str(self.house.facts["issuer"])

    def python(self, program: str, *words: str) -> str:
        """The last line that a program prints which runs beside the web processes."""
        return call(self.house.environment, "-c", _SETUP + program, *words).strip().splitlines()[-1]

    def issue(self, folder: Path, count: int = 1, *, profile: str = "application") -> list[Leaf]:
        """Certificates of the issuing CA."""
        made = json.loads(self.python(_ISSUE, self.slug, str(count), profile, folder.name))
        return [self._keep(folder / f"{profile}-{number}", each) for number, each in enumerate(made)]

    def _keep(self, folder: Path, made: dict[str, str]) -> Leaf:
        folder.mkdir(parents=True)
        leaf = Leaf(made["id"], x509.load_pem_x509_certificate(made["pem"].encode()), made["chain"], folder)
        leaf.key_file.write_text(made["key"])
        leaf.chain_file.write_text(made["pem"] + made["chain"])
        return leaf

    def revoke(self, *leaves: Leaf) -> float:
        """When they were revoked and that was committed, as time.time() has it."""
        return float(self.python(_REVOKE, *(leaf.id for leaf in leaves)))

    def prepare(self) -> str:
        """Makes an edition, however few certificates there are, and however young the last is."""
        return self.python(_PREPARE, self.slug)

    def let_signer_end_soon(self) -> None:
        """The record of its certificate says that a twelfth of its life is left."""
        with psycopg.connect(self.house.servers["DATABASE_URL"]) as session:
            session.execute(
                "UPDATE pki_certificate SET not_before = now() - interval '11 days', "
                "not_after = now() + interval '1 day' "
                "WHERE id IN (SELECT certificate_id FROM pki_ocspsigner)"
            )

    def ensure_signer(self) -> str:
        """As the periodic task does."""
        return self.python(_ENSURE_SIGNER, self.slug)

    def start(self) -> None:
        """The web processes, listening."""
        with (self.house.home / "web.log").open("ab") as log:
            self.web = subprocess.Popen(
                web_words(host="127.0.0.1", port=self.house.port, workers=self.workers), cwd=Path(__file__).parents[2],
                env=self.house.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._is_up, what="the web processes answer")

    def _is_up(self) -> bool:
        address = f"{self.house.url}/pki/{self.slug}/cert"
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            self.issuer = x509.load_der_x509_certificate(answer.read())
            return True
        return False

    def stop(self) -> None:
        """Ends them."""
        if self.web and self.web.poll() is None:
            os.killpg(self.web.pid, signal.SIGTERM)
            self.web.wait(90)

    def ask(self, serial: int) -> ocsp.OCSPResponse:
        """Over a connection of its own, which any of the web processes may take."""
        octets = build_request(issuer=self.issuer, serial=serial)
        wanted = urllib.request.Request(f"{self.house.url}/pki/{self.slug}/ocsp", data=octets, method="POST")
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            return ocsp.load_der_ocsp_response(answer.read())

    def root_pem(self) -> str:
        """The root's certificate, from the trust that the chain ends in."""
        with psycopg.connect(self.house.servers["DATABASE_URL"]) as session:
            rows = session.execute("SELECT der FROM pki_issuer WHERE parent_id IS NULL").fetchall()
        return "".join(encode_pem("CERTIFICATE", bytes(row[0])) for row in rows)


@contextlib.contextmanager
def ocsp_house(folder: Path, database: str, *, workers: int) -> Iterator[OcspHouse]:
    """A fresh one, stopped at the end."""
    house = House(folder / "home", servers={"DATABASE_URL": database})
    house.home.mkdir(parents=True, mode=0o700)
    house.facts = house.quickstart()
    found = OcspHouse(house, workers)
    try:
        found.start()
        yield found
    finally:
        found.stop()


_started: list[subprocess.Popen[bytes]] = []


@contextlib.contextmanager
def away(database: str) -> Iterator[None]:
    """PostgreSQL behind the URL is killed for the block, and is started again as it was."""
    with psycopg.connect(database) as session:
        row: Any = session.execute("SHOW data_directory").fetchone()
    cluster = Path(row[0])
    process = int((cluster / "postmaster.pid").read_text().splitlines()[0])
    words = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")[:-1]
    owner = cluster.stat().st_uid
    os.kill(process, signal.SIGQUIT)
    wait_until(lambda: not _answers(database), what="PostgreSQL is gone")
    try:
        yield
    finally:
        account = pwd.getpwuid(owner) if os.geteuid() == 0 else None
        again = subprocess.Popen(
            words, cwd=cluster.parent, user=account.pw_uid if account else None,
            group=account.pw_gid if account else None, extra_groups=[] if account else None,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        _started.append(again)


def end_postgresql() -> None:
    """Ends the servers that `away` started, for good."""
    for server in _started:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
            server.wait(90)
    _started.clear()


def _answers(database: str) -> bool:
    try:
        psycopg.connect(database, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
