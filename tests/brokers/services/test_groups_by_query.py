"""A device whose attributes change gets and loses the topics of its groups, on a real Mosquitto."""

from __future__ import annotations

import pytest

from acl.core.values import Action
from acl.services import create_role
from brokers import services
from devices import services as devices
from devices.models import DeviceType
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.brokers.conftest import Hall
from tests.brokers.fleet import Enrolled, allow
from tests.cast import ADA

pytestmark = pytest.mark.django_db


def test_device_whose_attribute_changes_loses_its_topic(hall: Hall) -> None:
    domain = hall.fleet.domain.id
    DeviceType.objects.update(schema={"site": {"type": "string"}})
    devices.create_group(domain=domain, name="quay", query='attr.site == "quay"', actor=ADA, now=utc_now())
    tide = create_role(domain=domain, name="tide", rules=[allow(Action.PUBLISH, "tide/now")], actor=ADA, now=utc_now())
    target = BindingTarget(group="quay")
    devices.bind_role(domain=domain, role=tide.id, target=target, actor=ADA, now=utc_now())
    pump = hall.fleet.enroll("p-1")
    hall.plan_and_apply()

    def move(site: str) -> None:
        devices.change_attributes(device=pump.id, attributes={"site": site}, actor=ADA, now=utc_now())
        services.converge(broker=hall.broker.id, now=utc_now(), seq=list_entries(limit=1)[0].seq)

    assert answers(hall, pump) == {"tide/now": False, "north/p-1/up/t": True}
    move("quay")
    assert answers(hall, pump) == {"tide/now": True, "north/p-1/up/t": True}
    move("yard")
    assert answers(hall, pump) == {"tide/now": False, "north/p-1/up/t": True}


def answers(hall: Hall, enrolled: Enrolled) -> dict[str, bool]:
    """Whether the broker takes what the device publishes, in a session of its own: other roles end the one before."""
    device = hall.device(enrolled)
    assert device.connect(), hall.live.log()
    found = {topic: device.publish(topic) for topic in ("tide/now", "north/p-1/up/t")}
    device.close()
    return found
