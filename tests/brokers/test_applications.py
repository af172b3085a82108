"""An application hears what devices send over a real Mosquitto, and is thrown out by what the journal says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from brokers import queries
from devices import services as devices
from devices.core.values import DeviceId
from kernel.core.clock import utc_now
from kernel.core.journal import StepState
from kernel.queries import list_entries
from pki import services as pki
from pki.core.values import ReasonCode
from pki.queries import certificates_of
from tests.brokers.application import add_application
from tests.brokers.conftest import Hall
from tests.brokers.device import wait_until
from tests.brokers.test_tasks import run_all, steps_of
from tests.cast import ADA


def revoke_application(application: DeviceId) -> None:
    devices.revoke_device(device=application, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())


def revoke_its_certificate(application: DeviceId) -> None:
    [held] = certificates_of(holder=f"application:{application}")
    pki.revoke_certificate(certificate=held.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())


@pytest.mark.parametrize("throw_out", [revoke_application, revoke_its_certificate])
def test_application_hears_devices_until_it_is_thrown_out(hall: Hall, throw_out: Callable[[DeviceId], None]) -> None:
    pump = hall.fleet.enroll("p-1")
    hall.plan_and_apply()
    known = add_application(hall.fleet)
    run_all()
    application, device = hall.device(known), hall.device(pump)
    assert application.connect()
    assert device.connect()
    assert application.subscribe("north/+/up/#")
    assert not application.subscribe("north/+/down/#")
    assert not application.subscribe("north/#")
    assert device.publish("north/p-1/up/t", b"42")
    assert application.hears("north/p-1/up/t")
    throw_out(known.id)
    run_all()
    assert wait_until(lambda: application.ended)
    assert device.connected
    [operation, *_] = [
        entry.id for entry in list_entries(domain=hall.fleet.domain.id) if entry.action.endswith(".revoked")
    ]
    assert steps_of(operation)["broker:hall-7"] is StepState.DONE
    assert not queries.sessions_of(device=known.id)
    again = hall.device(known)
    assert not again.connect() or not again.subscribe("north/+/up/#")
    again.close()
    device.close()
