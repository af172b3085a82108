"""Applications on a real NATS server, with the database: they hear devices, and are closed when they lose that."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from acl import queries as acl_queries
from acl import services as acl
from acl.core.values import Action
from brokers import services
from brokers.core.nats.policy import permissions
from brokers.services.admission import Admission, Refusal, judge_connect
from devices import services as devices
from kernel.core.clock import utc_now
from pki.core.values import ReasonCode
from tests.brokers.application import add_application
from tests.brokers.fleet import PUMP_RULES, allow
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


def test_what_a_kept_session_subscribed_to_is_not_brought_any_more_once_it_was_taken(gateway: Gateway) -> None:
    """Whoever loses something is closed, application or device; the server keeps its session, subscriptions in it."""
    to_all = allow(Action.PUBLISH, "${domain}/all/#")
    gateway.fleet.change_role(*PUMP_RULES, to_all)
    known, one, two = add_application(gateway.fleet), gateway.fleet.enroll("p-1"), gateway.fleet.enroll("p-2")
    application, pump = gateway.connect(known, clean=False), gateway.connect(one, clean=False)
    assert application.subscribe("north/+/up/#") == 1
    assert pump.subscribe("north/all/#") == 1
    gateway.check()

    readers = acl_queries.find_role(domain=gateway.fleet.domain.id, name="readers")
    assert readers is not None
    acl.change_role(role=readers.id, rules=[allow(Action.SUBSCRIBE, "${domain}/p-1/up/#")], actor=ADA, now=utc_now())
    gateway.fleet.change_role(PUMP_RULES[0], to_all)
    services.converge(broker=gateway.broker.id, now=utc_now())
    assert application.wait_closed()
    assert pump.wait_closed()

    sender = gateway.connect(two)

    def send(payload: bytes) -> None:
        for topic in ("north/p-2/up/t", "north/all/t"):
            sender.publish(topic, payload)

    send(b"while it was away")
    application, pump = gateway.connect(known, clean=False), gateway.connect(one, clean=False)
    assert (application.session_present, pump.session_present) == (True, True)
    send(b"since it is back")
    assert application.subscribe("north/p-1/up/#") == 1
    assert pump.subscribe("north/all/t") == 0x80
    pump.publish("north/p-1/up/t", b"still allowed")
    assert application.received(b"still allowed")
    assert [payload for _, payload in (*application.messages, *pump.messages)] == [b"still allowed"]
