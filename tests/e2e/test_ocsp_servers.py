"""OCSP where it counts: in several web processes, without a database, and asked by nginx and NATS about clients.

Decisions over HTTP are asked beside it while the database is away.
"""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki.core.ocsp_request import issuer_hashes
from tests.e2e.ocsp_house import Leaf, OcspHouse, away, end_postgresql, ocsp_house
from tests.servers import free_port, is_open, program, running_postgresql, wait_until

pytestmark = pytest.mark.e2e

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
SUCCESSFUL, TRY_LATER = ocsp.OCSPResponseStatus.SUCCESSFUL, ocsp.OCSPResponseStatus.TRY_LATER
AT_ONCE = 16
NATS_SERVER = str(Path(sys.executable).parent / "nats-server")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OcspHouse]:
    """An installation with two web processes."""
    with running_postgresql() as url:
        with ocsp_house(tmp_path_factory.mktemp("ocsp"), url, workers=2) as found:
            yield found
        end_postgresql()


def ask_all(house: OcspHouse, leaves: list[Leaf]) -> list[ocsp.OCSPResponse]:
    """Each on a connection of its own, many at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [*pool.map(lambda leaf: house.ask(leaf.certificate.serial_number), leaves)]


@pytest.mark.parametrize("prepared", [False, True])
def test_a_revocation_shows_within_a_second_in_each_web_process(prepared: bool, two: OcspHouse, tmp_path: Path) -> None:
    [leaf] = two.issue(tmp_path)
    if prepared:
        assert two.prepare() == "finished"
    serial = leaf.certificate.serial_number
    with ThreadPoolExecutor(5) as pool:
        revoking = pool.submit(two.revoke, leaf)
        last_good, since, ends_at = 0.0, 0.0, time.time() + 300
        while not since or time.time() < since + 2:
            asked_at = time.time()
            statuses = {each.certificate_status for each in pool.map(lambda _: two.ask(serial), range(4))}
            last_good = asked_at if GOOD in statuses else last_good
            since = revoking.result() if revoking.done() else 0.0
            assert time.time() < ends_at
    assert statuses == {REVOKED}
    assert last_good - since < 1


def test_every_certificate_is_answered_while_the_database_is_away(two: OcspHouse, tmp_path: Path) -> None:
    leaves = two.issue(tmp_path, 40)
    time.sleep(20)  # each process catches up every ten seconds, asked or not
    with away(two.house.servers["DATABASE_URL"]):
        for _ in range(2):
            answers = ask_all(two, leaves)
            assert {each.response_status for each in answers} == {SUCCESSFUL}
            assert {each.certificate_status for each in answers} == {GOOD}
            assert [each.serial_number for each in answers] == [leaf.certificate.serial_number for leaf in leaves]
        assert two.ask(77).response_status is TRY_LATER  # it may have been issued a moment ago
    wait_until(lambda: {each.response_status for each in ask_unknown(two)} == {SUCCESSFUL}, what="it is back")
    two.revoke(leaves[0])
    time.sleep(1)
    assert {each.certificate_status for each in ask_all(two, leaves[:1] * 8)} == {REVOKED}


_ASKING_BROKER = """
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.services import create_role
from brokers import services
from brokers.core.decide.decisions import Identity
from brokers.core.values import AdapterKind
from devices.models import Device, DeviceType, Domain
from devices.services import bind_role
from devices.services.bindings import BindingTarget
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
who, domain = {"actor": SYSTEM, "now": utc_now()}, Domain.objects.first()
device = Device.objects.create(
    id=new_id(), domain=domain, device_type=DeviceType.objects.filter(domain=domain).first(), name="asker",
    auth_id="asker", client_id="asker", state="active", created_at=who["now"])
rule = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="asker/up")
role = create_role(domain=domain.id, name="asker", rules=[rule], **who)
bind_role(domain=domain.id, role=role.id, target=BindingTarget(device=device.id), **who)
broker = services.register_broker(
    domain=domain.id, name="asking", kind=AdapterKind.HTTP_DECISIONS, connection={"dialect": "goauth"}, **who)
made = services.mint_decision_secret(broker=broker.id, identity=Identity.CERTIFICATE, **who)
print(f"decide/{broker.id}/{made.secret}/goauth/aclcheck")
"""


def test_decisions_go_on_while_the_database_is_away(two: OcspHouse) -> None:
    address = f"{two.house.url}/{two.python(_ASKING_BROKER)}"

    def allowed(topic: str = "asker/up") -> bool:
        wish = f"username=asker&clientid=asker&topic={topic}&acc=2"
        return '"ok":true' in fetch(address, "-d", wish)

    def always_allowed(times: int) -> bool:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return all([*pool.map(lambda _: allowed(), range(times))])

    wait_until(lambda: always_allowed(64), what="both processes know it")
    with away(two.house.servers["DATABASE_URL"]):
        assert always_allowed(20)
        assert not allowed("asker/down")
    wait_until(lambda: {each.response_status for each in ask_unknown(two)} == {SUCCESSFUL}, what="it is back")
    assert allowed()


def ask_unknown(house: OcspHouse) -> list[ocsp.OCSPResponse]:
    """About a serial number for which the database is needed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [*pool.map(lambda _: house.ask(77), range(AT_ONCE))]


def test_curl_gets_an_answer_once_and_then_only_asks(two: OcspHouse, tmp_path: Path) -> None:
    [leaf] = two.issue(tmp_path)
    two.prepare()
    request = plain_request(two.issuer, leaf.certificate.serial_number)
    address = f"{two.house.url}/pki/{two.slug}/ocsp/{quote(base64.b64encode(request).decode(), safe='')}"
    kept, tags = tmp_path / "answer.der", tmp_path / "etag"
    again = ("-D", "-", "--etag-compare", str(tags), "-o", str(tmp_path / "none"))

    def is_known() -> bool:
        """Prepared answers are the same in all processes, once all have mapped them."""
        fetch(address, "--etag-save", str(tags), "-o", str(kept))
        is_asked = all("304 Not Modified" in fetch(address, *again) for _ in range(20))
        return is_asked and f"content-length: {kept.stat().st_size}" in fetch(address, "-I")

    wait_until(is_known, what="whichever process is asked says 304")
    assert ocsp.load_der_ocsp_response(kept.read_bytes()).certificate_status is GOOD
    head = fetch(address, "-I")
    assert "200 OK" in head
    assert "max-age=60,public,no-transform,must-revalidate" in head


def plain_request(issuer: x509.Certificate, serial: int) -> bytes:
    builder = ocsp.OCSPRequestBuilder()
    name_hash, key_hash = issuer_hashes(issuer)["sha1"]
    return builder.add_certificate_by_hash(name_hash, key_hash, serial, SHA1()).build().public_bytes(Encoding.DER)


def fetch(address: str, *options: str) -> str:
    return subprocess.run(
        ["curl", "-sS", *options, address], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_signers_change_under_load_and_nobody_notices(two: OcspHouse, tmp_path: Path) -> None:
    good, other = two.issue(tmp_path, 2)
    first = signer_of(two.ask(good.certificate.serial_number))
    two.let_signer_end_soon()
    with ThreadPoolExecutor(8) as pool:
        making = [pool.submit(two.ensure_signer) for _ in range(3)]  # as three workers at once
        answers: list[ocsp.OCSPResponse] = []
        while not all(each.done() for each in making):
            answers += pool.map(lambda _: two.ask(good.certificate.serial_number), range(4))
        assert [each.result() for each in making] == ["made"] * 3
        two.revoke(other)  # processes look for signers with it, and every five minutes
        time.sleep(1)
        later = [*pool.map(lambda _: two.ask(good.certificate.serial_number), range(8))]
    assert {each.certificate_status for each in (*answers, *later)} == {GOOD}
    assert {signer_of(each) for each in answers} == {first}
    assert first not in {signer_of(each) for each in later}
    for each in later:
        each.certificates[0].verify_directly_issued_by(two.issuer)


def signer_of(response: ocsp.OCSPResponse) -> int:
    return response.certificates[0].serial_number


@pytest.fixture
def pair(two: OcspHouse, tmp_path: Path) -> tuple[Leaf, Leaf, Leaf]:
    """A good client, a revoked one, and a server."""
    good, bad = two.issue(tmp_path, 2)
    [server] = two.issue(tmp_path / "server", profile="broker-server")
    two.revoke(bad)
    (tmp_path / "roots.pem").write_text(two.root_pem())
    time.sleep(0.5)
    return good, bad, server


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {server.chain_file}; ssl_certificate_key {server.key_file};
        ssl_verify_client on; ssl_client_certificate {folder}/roots.pem; ssl_verify_depth 3;
        ssl_ocsp on;
        location / {{ return 200 "come in $ssl_client_s_dn"; }}
    }}
}}
"""


def test_nginx_lets_in_whom_ocsp_calls_good_and_no_one_else(pair: tuple[Leaf, Leaf, Leaf], tmp_path: Path) -> None:
    good, bad, server = pair
    port = free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, server=server))
    tmp_path.chmod(0o755)
    nginx = subprocess.Popen(
        [program("nginx"), "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)], start_new_session=True
    )
    try:
        wait_until(lambda: is_open(port), what="nginx listens")
        assert "come in CN=application-0" in curl(port, good, tmp_path)
        assert "SSL certificate error" in curl(port, bad, tmp_path)
        assert "certificate revoked" in (tmp_path / "error.log").read_text()
    finally:
        nginx.terminate()
        nginx.wait(60)


def curl(port: int, leaf: Leaf, folder: Path) -> str:
    words: list[str | Path] = ["curl", "-sS", "--cacert", folder / "roots.pem", "--cert", leaf.chain_file]
    words += ["--key", leaf.key_file, "--retry", "3", f"https://127.0.0.1:{port}/"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


NATS = """
listen: 127.0.0.1:{port}
ocsp_cache: false
tls {{
    cert_file: "{server.chain_file}"; key_file: "{server.key_file}"; ca_file: "{folder}/roots.pem"
    verify: true; handshake_first: true; timeout: 60
    ocsp_peer: {{ verify: true, ca_timeout: 50, unknown_is_good: false, allow_when_ca_unreachable: false }}
}}
"""


def test_nats_lets_in_whom_ocsp_calls_good_and_no_one_else(pair: tuple[Leaf, Leaf, Leaf], tmp_path: Path) -> None:
    good, bad, server = pair
    port = free_port()
    (tmp_path / "nats.conf").write_text(NATS.format(folder=tmp_path, port=port, server=server))
    with (tmp_path / "nats.log").open("wb") as log:
        nats = subprocess.Popen([NATS_SERVER, "-c", str(tmp_path / "nats.conf")], stderr=log, start_new_session=True)
    try:
        wait_until(lambda: is_open(port), what="NATS listens")
        assert greeting(port, good, tmp_path).startswith(b"INFO ")
        assert greeting(port, bad, tmp_path) == b""
        assert greeting(port, good, tmp_path).startswith(b"INFO ")
        assert "OCSP" in (tmp_path / "nats.log").read_text()
    finally:
        nats.terminate()
        nats.wait(60)


def greeting(port: int, leaf: Leaf, folder: Path) -> bytes:
    """What NATS says first to this client; nothing if it hangs up."""
    context = ssl.create_default_context(cafile=str(folder / "roots.pem"))
    context.load_cert_chain(leaf.chain_file, leaf.key_file)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=90) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            return secure.recv(1000)
    except (ssl.SSLError, ConnectionError):
        return b""
