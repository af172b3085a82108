"""The CRL file and SIGHUP, with a real Mosquitto that has to refuse the revoked certificate in the handshake."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from brokers import models, services
from brokers.core.crl_bundle import UnfitCrl
from brokers.core.mosquitto.conf import CRL_FILE, PID_FILE
from brokers.core.ports import BrokerUnreachable
from brokers.core.registration import InvalidBroker
from brokers.core.values import AdapterKind
from devices import services as devices
from kernel.core.clock import utc_now
from pki import services as pki
from pki.core.values import ReasonCode
from tests.brokers.conftest import Hall
from tests.brokers.device import wait_until
from tests.brokers.fleet import Enrolled, Fleet
from tests.cast import ADA


def revoke(hall: Hall, enrolled: Enrolled) -> None:
    devices.revoke_device(device=enrolled.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    pki.publish_crl(issuer=hall.fleet.ca.id, now=utc_now())


def gets_in(hall: Hall, enrolled: Enrolled) -> bool:
    device = hall.device(enrolled)
    try:
        return device.connect()
    finally:
        device.close()


def test_revoked_certificate_is_refused_once_the_crl_is_there(hall: Hall) -> None:
    one, two = hall.fleet.enroll("p-1"), hall.fleet.enroll("p-2")
    revoke(hall, one)
    assert gets_in(hall, one)
    services.push_crl(broker=hall.broker.id, now=utc_now())
    assert wait_until(lambda: not gets_in(hall, one))
    assert gets_in(hall, two)


def test_file_is_readable_by_the_broker_and_leaves_nothing_beside_it(hall: Hall) -> None:
    revoke(hall, hall.fleet.enroll("p-1"))
    services.push_crl(broker=hall.broker.id, now=utc_now())
    assert stat.S_IMODE((hall.live.folder / CRL_FILE).stat().st_mode) == 0o644
    assert not list(hall.live.folder.glob("*.new"))
    assert (hall.live.folder / CRL_FILE).read_text().count("BEGIN X509 CRL") == 2


def test_pushing_it_twice_is_harmless(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    revoke(hall, one)
    services.push_crl(broker=hall.broker.id, now=utc_now())
    assert "up to date" in services.push_crl(broker=hall.broker.id, now=utc_now())


def test_expired_crl_is_never_written(hall: Hall) -> None:
    before = (hall.live.folder / CRL_FILE).read_text()
    with pytest.raises(UnfitCrl, match="expired"):
        services.push_crl(broker=hall.broker.id, now=utc_now() + timedelta(days=400))
    assert (hall.live.folder / CRL_FILE).read_text() == before


def test_broker_that_is_down_finds_the_file_when_it_starts(hall: Hall) -> None:
    one = hall.fleet.enroll("p-1")
    revoke(hall, one)
    hall.live.stop()
    with pytest.raises(BrokerUnreachable):
        services.push_crl(broker=hall.broker.id, now=utc_now())
    hall.live.start()
    assert not gets_in(hall, one)


def test_process_that_is_no_mosquitto_is_never_signalled(hall: Hall) -> None:
    revoke(hall, hall.fleet.enroll("p-1"))
    (hall.live.folder / PID_FILE).write_text(f"{os.getpid()}\n")  # this very test would die of it
    with pytest.raises(BrokerUnreachable, match="not running"):
        services.push_crl(broker=hall.broker.id, now=utc_now())


@pytest.mark.parametrize("name", ["../other", "/etc", "a/b", "..", ".", "", ".hidden", "a\0b", 7])
def test_folder_elsewhere_is_refused_at_registration(fleet: Fleet, name: object) -> None:
    connection = {
        "host": "127.0.0.1",
        "port": 1883,
        "username": "gatehouse/control",
        "password": "pw",
        "files": {"directory": name},
    }
    with pytest.raises(InvalidBroker) as caught:
        services.register_broker(
            domain=fleet.domain.id,
            name="hall-8",
            kind=AdapterKind.MOSQUITTO_DYNSEC,
            connection=connection,
            actor=ADA,
            now=utc_now(),
        )
    assert [error.pointer for error in caught.value.errors] == ["/connection/files/directory"]
    assert not models.Broker.objects.exists()


def test_folder_that_is_a_link_is_not_written_to(hall: Hall, tmp_path: Path) -> None:
    revoke(hall, hall.fleet.enroll("p-1"))
    elsewhere = tmp_path / "elsewhere"
    hall.live.folder.rename(elsewhere)
    hall.live.folder.symlink_to(elsewhere)
    before = (elsewhere / CRL_FILE).read_text()
    with pytest.raises(Exception, match="plain folder"):
        services.push_crl(broker=hall.broker.id, now=utc_now())
    assert (elsewhere / CRL_FILE).read_text() == before
