"""An application on a real NATS server, with the database: it hears devices, and is closed when it is revoked."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from brokers import services
from brokers.core.nats.policy import permissions
from brokers.services.admission import Admission, Refusal, judge_connect
from devices import services as devices
from kernel.core.clock import utc_now
from pki.core.values import ReasonCode
from tests.brokers.application import add_application
from tests.brokers.nats.test_services import Gateway, gateway
from tests.cast import ADA

pytestmark = pytest.mark.e2e
__all__ = ["gateway"]


def test_application_enters_with_its_certificate_hears_devices_and_is_closed_on_revocation(gateway: Gateway) -> None:
    """What the doorman grants is what `judge_connect` says of the application's own chain."""
    known, pump = add_application(gateway.fleet), gateway.connect(gateway.fleet.enroll("p-1"))

    def judge() -> Admission | Refusal:
        shown = load_pem_x509_certificates(known.certificate.read_bytes())
        chain = [each.public_bytes(Encoding.PEM).decode() for each in shown]
        return judge_connect(broker=gateway.broker.id, chain=chain, client_id="dashboards", username="", now=utc_now())

    admitted = judge()
    assert isinstance(admitted, Admission)
    application = gateway.connect(known)
    assert gateway.grants["dashboards"] == permissions(admitted.subject)
    assert application.subscribe("north/+/up/#") == 1
    assert application.subscribe("north/+/down/#") == 0x80
    pump.publish("north/p-1/up/t", b"42")
    assert application.received(b"42")
    devices.revoke_device(device=known.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    services.evict(broker=gateway.broker.id, device=known.id, now=utc_now())
    assert application.wait_closed()
    assert isinstance(judge(), Refusal)
