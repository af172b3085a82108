"""Whose word an attribute is, where roles hang on it: a device's that enrols, or an operator's."""

from __future__ import annotations

from typing import Any

import pytest

from devices import services
from devices.core.attributes import MAX_ATTRIBUTES, AttributeSpec, AttributeType, BadAttributes, check_attributes
from devices.core.values import DeviceId
from devices.models import Device, DeviceType, EnrolmentRequest
from tests.cast import ADA
from tests.devices.factory import SCHEMA, Factory


@pytest.fixture
def guarded(north: Factory) -> Factory:
    """The site is for operators alone, and decides who is in the group `vault`."""
    schema = {**SCHEMA, "site": {"type": "string", "operators_only": True}}
    DeviceType.objects.filter(domain_id=north.domain, name="pump").update(schema=schema)
    services.create_group(domain=north.domain, name="vault", query='attr.site == "vault"', actor=ADA, now=north.now)
    return north


def test_device_does_not_enrol_itself_into_a_group_by_an_attribute_for_operators(guarded: Factory) -> None:
    with pytest.raises(BadAttributes, match="operators alone"):
        guarded.ask(attributes={"site": "vault"})
    assert not Device.objects.exists()
    assert not EnrolmentRequest.objects.exists()
    assert guarded.enroll(attributes={"litres": 5}).device.groups == ()


def test_device_registered_without_it_does_not_add_it(guarded: Factory) -> None:
    guarded.register()
    with pytest.raises(BadAttributes, match="operators alone"):
        guarded.ask(attributes={"site": "vault"})
    assert guarded.enroll().device.groups == ()


def test_device_may_repeat_what_it_is_registered_with_and_nothing_else(guarded: Factory) -> None:
    guarded.register(attributes={"site": "vault"})
    with pytest.raises(BadAttributes, match="another value"):
        guarded.ask(attributes={"site": "hall"})
    assert guarded.enroll(attributes={"site": "vault"}).device.groups == ("vault",)


def test_what_an_operator_took_away_while_it_waited_does_not_come_back(north: Factory) -> None:
    services.create_group(domain=north.domain, name="hall", query='attr.site == "hall"', actor=ADA, now=north.now)
    token, csr = north.mint("gate").token, north.workshop.csr()
    waits = north.wait(attributes={"site": "hall", "litres": 5}, token=token, csr=csr)
    device = Device.objects.get()
    services.change_attributes(device=DeviceId(device.id), attributes={"site": None}, actor=ADA, now=north.now)
    services.approve_request(request=waits.request, actor=ADA, now=north.now)
    made = north.enroll(token=token, csr=csr).device
    assert (made.attributes, made.groups) == ({"litres": 5}, ())


def test_thousands_of_unknown_attributes_are_one_fault() -> None:
    known = tuple(AttributeSpec(name=f"a{number}", type=AttributeType.STRING) for number in range(MAX_ATTRIBUTES))
    given: dict[str, Any] = {f"b{number}": "" for number in range(10_000)}
    with pytest.raises(BadAttributes) as refused:
        check_attributes(given, known)
    assert [error.pointer for error in refused.value.errors] == ["/attributes"]
