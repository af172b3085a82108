"""A device has two good certificates and one is revoked: who uses that comes back, until the broker knows of it."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from django.db import connection
from django.test.utils import CaptureQueriesContext

from brokers import models, queries, services, tasks
from brokers.core.crl_bundle import UnfitCrl, parse_bundle
from brokers.core.mosquitto.conf import CRL_FILE
from brokers.core.values import BrokerId
from brokers.services import publishing_crl
from devices import services as devices
from kernel.core.clock import utc_now
from kernel.core.ids import EntryId
from kernel.models import Wakeup
from kernel.queries import find_operation, list_entries
from pki import queries as pki_queries
from pki import services as pki
from pki.core.values import CertificateId, ReasonCode
from pki.models import Crl
from pki.tasks import publish_crl
from tests.brokers.api.test_disconnect import EMQX, register
from tests.brokers.conftest import Hall, make_hall
from tests.brokers.device import wait_until
from tests.brokers.fleet import Enrolled, Fleet, make_request
from tests.cast import ADA

TASKS = {task.name: task for task in (tasks.evict, tasks.disconnect, tasks.push_crl, publish_crl)}
CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02zz"


def run_due(*names: str) -> None:
    """What workers do of that, until nothing of it can be done at once."""
    while rows := [*Wakeup.objects.claimable(now=utc_now()).filter(task__in=names or TASKS).order_by("pk")]:
        for row in rows:
            TASKS[row.task](wakeup=row.pk)


def renewed(fleet: Fleet, one: Enrolled) -> tuple[Enrolled, CertificateId]:
    """The device with its next certificate, and the one before, which is as good."""
    key, csr = make_request(fleet.folder, "next")
    shown = x509.load_pem_x509_certificates(one.certificate.read_bytes())[:1]
    made = devices.renew_credential(chain=shown, csr=csr.read_text(), address="", now=utc_now())
    path = fleet.folder / "next.pem"
    path.write_text(made.certificate.pem + made.certificate.chain_pem)
    old = pki_queries.find_certificate_by_fingerprint(sha256_hex=shown[0].fingerprint(SHA256()).hex())
    assert old is not None
    return Enrolled(device=made.device, certificate=path, key=key), old.id


def revoke(certificate: CertificateId) -> EntryId:
    found = pki.revoke_certificate(
        certificate=certificate, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now()
    ).operation
    assert found is not None
    return found


def ordered_ends() -> list[datetime | None]:
    """For when ends of sessions were ordered, by us; None is at once."""
    found = [entry.after.get("not_before") for entry in list_entries() if entry.action == "brokers.session.end_ordered"]
    return [each and datetime.fromisoformat(each) for each in reversed(found)]


@contextmanager
def thief(hall: Hall, stolen: Enrolled) -> Iterator[list[bool]]:
    """Connects with the certificate whenever it is not connected: each time, whether it came in."""
    tries: list[bool] = []
    stop = threading.Event()

    def go() -> None:
        while not stop.is_set():
            device = hall.device(stolen)
            tries.append(device.connect())
            while device.connected and not stop.is_set():
                time.sleep(0.01)
            device.close()

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield tries
    finally:
        stop.set()
        thread.join(90)


@pytest.fixture
def large_hall(transactional_db: None, tmp_path: Path, home: Path) -> Iterator[Hall]:
    made = make_hall(Fleet(tmp_path), home)
    yield made
    made.live.stop()


def test_thief_is_gone_for_good_two_seconds_after_the_crl(large_hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = large_hall
    stolen = hall.fleet.enroll("p-1")
    good, old = renewed(hall.fleet, stolen)
    hall.plan_and_apply()
    run_due()
    context = ssl.create_default_context(cadata=hall.fleet.trust)
    context.load_cert_chain(stolen.certificate, stolen.key)
    plain = socket.create_connection(("127.0.0.1", hall.live.device_port), timeout=90)
    with thief(hall, stolen) as tries, context.wrap_socket(plain, server_hostname="localhost") as silent:
        assert wait_until(lambda: tries[-1:] == [True])
        operation = revoke(old)
        run_due("brokers.evict")
        assert wait_until(lambda: tries == [True, True]), "it is back before the CRL is there"
        crl = (hall.live.folder / CRL_FILE).read_text()
        while (hall.live.folder / CRL_FILE).read_text() == crl:
            run_due()
        assert wait_until(lambda: len(tries) > 10 and not any(tries[-5:]), seconds=2), tries
        owner = hall.device(good)
        assert owner.connect()
        assert owner.publish("north/p-1/up/t")
        silent.sendall(CONNECT)  # its certificate was looked at before
        assert silent.recv(4) == b"\x20\x02\x00\x00"
        [at_once, later] = ordered_ends()
        assert at_once is None
        assert later is not None
        monkeypatch.setattr(tasks, "utc_now", lambda: later)
        Wakeup.objects.open().filter(task="brokers.disconnect").update(held_until=None)
        run_due()
        assert silent.recv(1) == b"", "Mosquitto waits 95 s for who has shaken hands and says nothing"
        assert wait_until(lambda: owner.ended)
        assert not any(tries[-5:])
    owner.close()
    assert hall.device(good).connect()
    found = find_operation(operation=operation)
    assert found is not None
    told = {step.target: step.detail for step in found.steps}["broker:hall-7"]
    assert told.startswith("It may do what the policy says of it now, and come back with what is still good; ")
    assert told.endswith("Its sessions end once more when this broker knows of the revocation.")


def push(broker: BrokerId) -> None:
    services.push_crl(broker=broker, now=utc_now())


def test_broker_that_fetches_crls_itself_has_it_disconnected_once_it_has_fetched(fleet: Fleet) -> None:
    _, old = renewed(fleet, fleet.enroll("p-1"))
    lonely = fleet.enroll("p-2")
    emqx, unmanaged = register(fleet, "emqx", "emqx", EMQX), register(fleet, "new", "emqx", EMQX, managed=False)
    mosquitto = {"host": "127.0.0.1", "port": 1883, "username": "gatehouse", "password": "pw"}
    without_folder = register(fleet, "far", "mosquitto-dynsec", mosquitto)
    push(emqx)
    assert ordered_ends() == []
    revoke(old)
    push(emqx)
    assert ordered_ends() == [], "no CRL lists it yet"
    devices.revoke_device(device=lonely.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    published = utc_now()
    pki.publish_crl(issuer=fleet.ca.id, now=published)
    for broker in (emqx, emqx, unmanaged):
        push(broker)
    [later] = ordered_ends()
    assert later is not None
    assert timedelta(minutes=15) < later - published < timedelta(minutes=17)
    [wakeup] = Wakeup.objects.filter(task="brokers.disconnect")
    tasks.disconnect(wakeup=wakeup.pk)
    assert Wakeup.objects.get(pk=wakeup.pk).held_until == later
    assert not queries.capabilities_of(broker=without_folder).certificate_lag, "nobody knows when it has its CRL"


def test_many_at_once_are_no_urgent_work(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    _, old = renewed(hall.fleet, hall.fleet.enroll("p-1"))
    hall.plan_and_apply()
    revoke(old)
    pki.publish_crl(issuer=hall.fleet.ca.id, now=utc_now())
    monkeypatch.setattr(publishing_crl, "_MOST_URGENT", 0)
    push(hall.broker.id)
    found = Wakeup.objects.filter(task="brokers.disconnect").order_by("pk").values_list("queue", "order_key")
    assert [(queue, key.partition(":")[0]) for queue, key in found] == [
        ("bulk", "bulk-disconnect"),
        ("bulk", "bulk-disconnect-later"),
    ]


def test_many_are_looked_up_together(fleet: Fleet) -> None:
    pumps = [fleet.enroll(name) for name in ("p-1", "p-2", "p-3")]
    holders = [pump.device.holder for pump in pumps]

    def asked(some: list[str], names: list[str]) -> int:
        with CaptureQueriesContext(connection) as made:
            [found] = publishing_crl._still_let_in(some, domain=fleet.domain.id)
        assert sorted(device.name for device in found) == names
        return len(made)

    assert asked(holders, ["p-1", "p-2", "p-3"]) == asked(holders[:1], ["p-1"])


def test_broker_that_is_somewhere_else_now_has_it_disconnected_there(fleet: Fleet) -> None:
    _, old = renewed(fleet, fleet.enroll("p-1"))
    emqx = register(fleet, "emqx", "emqx", EMQX)
    revoke(old)
    pki.publish_crl(issuer=fleet.ca.id, now=utc_now())
    push(emqx)
    change = services.BrokerChange(connection={**EMQX, "port": 18084})
    services.change_broker(broker=emqx, change=change, actor=ADA, now=utc_now())
    push(emqx)
    assert len(ordered_ends()) == 2


def test_one_issuer_without_a_fit_crl_holds_up_no_other(hall: Hall) -> None:
    _, old = renewed(hall.fleet, hall.fleet.enroll("p-1"))
    hall.plan_and_apply()
    revoke(old)
    pki.publish_crl(issuer=hall.fleet.ca.id, now=utc_now())
    other = pki.create_issuing_ca(
        parent=hall.fleet.root.id, slug="other-ca", common_name="Other CA", actor=ADA, now=utc_now()
    )
    file = hall.live.folder / CRL_FILE
    push(hall.broker.id)
    whole = [crl.issuer.rfc4514_string() for crl in parse_bundle(file.read_text())]
    assert len(whole) == 3
    Crl.objects.filter(issuer_id=other.id).update(der=b"garbage")
    pki.publish_crl(issuer=hall.fleet.ca.id, now=utc_now(), force=True)
    before = file.read_text()
    models.Broker.objects.update(crl_revisions={})
    with pytest.raises(UnfitCrl, match=r"^The newest CRL of CN=Other CA does not parse: publish a new one\.$"):
        push(hall.broker.id)
    kept = parse_bundle(file.read_text())
    assert file.read_text() != before
    assert sorted(crl.issuer.rfc4514_string() for crl in kept) == sorted(whole), "of that one it has what it had"
    assert len(ordered_ends()) == 4, "the revocation of the others is in force"
    assert str(other.id) not in models.Broker.objects.get().crl_revisions
