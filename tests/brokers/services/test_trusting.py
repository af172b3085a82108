"""What brokers trust, through rollovers and revocations of issuers, with a real Mosquitto."""

from __future__ import annotations

from brokers import services
from brokers.core.mosquitto.conf import CLIENT_CA_FILE, CRL_FILE
from brokers.services.desired import desired_state, desired_state_of
from devices import services as devices
from kernel.core.clock import utc_now
from pki import queries as pki_queries
from pki import services as pki
from pki.core.values import ReasonCode
from tests.brokers.conftest import Hall
from tests.brokers.device import wait_until
from tests.brokers.fleet import Enrolled, Fleet
from tests.cast import ADA
from tests.pki.outside_ca import outside_root


def gets_in(hall: Hall, enrolled: Enrolled) -> bool:
    device = hall.device(enrolled)
    try:
        return device.connect()
    finally:
        device.close()


def push(hall: Hall) -> str:
    return services.push_crl(broker=hall.broker.id, now=utc_now())


def test_rollover_lets_devices_of_both_issuers_in(hall: Hall) -> None:
    old = hall.fleet.enroll("p-1")
    new_ca = pki.roll_over_issuer(issuer=hall.fleet.ca.id, actor=ADA, now=utc_now()).successor
    assert new_ca is not None
    new, gone = hall.fleet.enroll("p-2"), hall.fleet.enroll("p-3")
    [held] = pki_queries.certificates_of(holder=f"device:{gone.id}")
    assert held.issuer == new_ca.id
    services.converge(broker=hall.broker.id, now=utc_now(), seq=10**9)
    pki.revoke_certificate(certificate=held.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    pki.publish_crl(issuer=new_ca.id, now=utc_now())

    push(hall)

    assert (hall.live.folder / CLIENT_CA_FILE).read_text() == hall.fleet.trust
    assert (hall.live.folder / CRL_FILE).read_text().count("BEGIN X509 CRL") == 3
    assert wait_until(lambda: not gets_in(hall, gone))
    assert gets_in(hall, old)
    assert gets_in(hall, new)


def test_devices_of_a_revoked_issuer_are_shut_out(hall: Hall) -> None:
    old = hall.fleet.enroll("p-1")
    pki.roll_over_issuer(issuer=hall.fleet.ca.id, actor=ADA, now=utc_now())
    new = hall.fleet.enroll("p-2")
    services.converge(broker=hall.broker.id, now=utc_now(), seq=10**9)
    assert gets_in(hall, old)

    pki.revoke_issuer(issuer=hall.fleet.ca.id, actor=ADA, now=utc_now())
    services.converge(broker=hall.broker.id, now=utc_now(), seq=10**9 + 1)
    told = push(hall)

    assert "CA file is new" in told
    assert hall.fleet.ca.certificate_pem not in (hall.live.folder / CLIENT_CA_FILE).read_text()
    assert wait_until(lambda: not gets_in(hall, old))
    assert gets_in(hall, new)


def test_new_root_is_believed_once_the_file_is_read_again(hall: Hall) -> None:
    old = hall.fleet.enroll("p-1")
    root = pki.roll_over_issuer(issuer=hall.fleet.root.id, actor=ADA, now=utc_now()).successor
    assert root is not None
    fresh = pki.create_issuing_ca(parent=root.id, slug="fresh", common_name="Fresh CA", actor=ADA, now=utc_now())
    devices.set_issuer(domain=hall.fleet.domain.id, issuer=fresh.id, actor=ADA, now=utc_now())
    new = hall.fleet.enroll("p-9")
    services.converge(broker=hall.broker.id, now=utc_now(), seq=10**9)
    assert gets_in(hall, old)
    assert not gets_in(hall, new)
    assert "The CA file is new" in push(hall)
    assert wait_until(lambda: gets_in(hall, new))
    assert gets_in(hall, old)


def test_crl_of_an_offline_root_that_is_not_signed_yet_holds_nothing_up(hall: Hall) -> None:
    outside = outside_root(hall.fleet.folder, "Vault")
    pki.import_offline_issuer(
        domain=hall.fleet.domain.id,
        slug="vault",
        certificate=outside.certificate.read_bytes(),
        actor=ADA,
        now=utc_now(),
    )
    pki.trust_issuer(
        domain=hall.fleet.domain.id,
        slug="maker",
        certificate=outside.below("Maker").certificate.read_bytes(),
        actor=ADA,
        now=utc_now(),
    )
    push(hall)
    trusted = (hall.live.folder / CLIENT_CA_FILE).read_text()
    assert outside.certificate.read_text() in trusted
    assert trusted.count("BEGIN CERTIFICATE") == 3  # not the maker's


def test_desired_state_shuts_out_who_has_only_certificates_of_a_revoked_issuer(fleet: Fleet) -> None:
    old = fleet.enroll("p-1")
    assert desired_state_of(device=old.id, broker=None, now=utc_now()).subjects[0].state == "admitted"
    pki.revoke_issuer(issuer=fleet.ca.id, actor=ADA, now=utc_now())
    assert desired_state_of(device=old.id, broker=None, now=utc_now()).subjects[0].state != "admitted"
    [subject] = desired_state(domain=fleet.domain.id, broker=None, now=utc_now()).subjects
    assert subject.state != "admitted"
