"""The connection kit of a device: all that brings it to its brokers, and nothing that proves it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from pytest_django import Settings

from devices import services
from devices.core.ports import BrokerEndpoint
from devices.services.bindings import BindingTarget
from kernel.core.ids import DomainId
from tests.cast import ADA, NORTH
from tests.devices.api.conftest import Program
from tests.devices.api.problems import problem
from tests.devices.factory import Factory


class Directory:
    """Knows two brokers, of which one takes passwords."""

    def is_reserved(self, domain: DomainId, name: str) -> bool:
        """No name."""
        del domain, name
        return False

    def endpoints(self, domain: DomainId) -> list[BrokerEndpoint]:
        """A listener of each."""
        assert domain == NORTH
        hall = BrokerEndpoint(
            name="hall", host="mq.example", port=8883, transport="mqtts", protocol_versions=("3.1.1", "5")
        )
        door = BrokerEndpoint(
            name="door", host="::1", port=443, transport="wss", protocol_versions=("3.1.1",), takes_passwords=True
        )
        return [hall, door]


directory = Directory()


@pytest.fixture(autouse=True)
def _two_brokers(settings: Settings) -> None:
    settings.GATEHOUSE_BROKER_DIRECTORY = f"{__name__}.directory"


def brokers_in(kit: Any) -> list[str]:
    return [broker["name"] for broker in kit["brokers"]]


def test_kit_has_all_but_what_proves_the_device(north: Factory, bo: Program) -> None:
    made = north.enroll()
    target = BindingTarget(domain="north")
    services.bind_role(domain=north.domain, role=north.role().id, target=target, actor=ADA, now=north.now)
    kit = bo.get(f"devices/{made.device.id}/connection-kit/").json()
    assert (kit["client_id"], kit["username"], kit["proof"]) == ("pump-17", "pump-17", "certificate")
    assert kit["trust_bundle"] == made.trust_bundle
    assert [(file["name"], file["content"]) for file in kit["files"]] == [
        ("trust.pem", made.trust_bundle),
        ("pump-17.pem", None),
        ("pump-17.key", None),
    ]
    assert {"effect": "allow", "actions": ["publish"], "topic": "north/pump-17/up/#"} in kit["permissions"]
    [hall, door] = kit["brokers"]
    assert (hall["host"], hall["port"], hall["tls_name"], hall["transport"]) == (
        "mq.example",
        8883,
        "mq.example",
        "mqtts",
    )
    assert [each["file"] for each in hall["snippets"]] == ["publish.sh", "publish.py", "publish.mjs", "publish.c"]
    assert all("north/pump-17/up/hello" in each["text"] for each in hall["snippets"] + door["snippets"])


def test_archive_holds_the_same_and_is_the_same_each_time(north: Factory, bo: Program) -> None:
    address = f"devices/{north.enroll().device.id}/connection-kit/"
    answer = bo.get(address, **{"as": "zip"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    kit = bo.get(address).json()
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert packed.testzip() is None
    programs = [
        f"{number}-{broker['name']}/{each['file']}"
        for number, broker in enumerate(kit["brokers"], start=1)
        for each in broker["snippets"]
    ]
    assert packed.namelist() == ["README.txt", "trust.pem", *programs]
    assert packed.read("trust.pem").decode() == kit["trust_bundle"]
    assert packed.read("1-hall/publish.py").decode() == kit["brokers"][0]["snippets"][1]["text"]
    told = packed.read("README.txt").decode()
    assert "2-door/: ::1 port 443, wss, MQTT 3.1.1" in told
    assert "pump-17.key: its private key (PEM), which never left it (not in this kit)" in told
    bo.headers["Accept"] = "application/zip"
    assert bo.get(address, **{"as": "zip"}).content == answer.content
    assert problem(bo.get(address, **{"as": "tar"}), 400, "unknown-form")["errors"][0]["pointer"] == "as"


def test_device_with_a_password_alone_is_sent_where_that_is_taken(north: Factory, bo: Program) -> None:
    device = north.register().id
    address = f"devices/{device}/connection-kit/"
    assert brokers_in(bo.get(address).json()) == []  # registered ahead, it may not connect
    made = services.issue_password(device=device, actor=ADA, now=north.now)
    kit = bo.get(address).json()
    assert (kit["proof"], brokers_in(kit)) == ("password", ["door"])
    assert [file["name"] for file in kit["files"]] == ["trust.pem", "pump-17.password"]
    for octets in (bo.get(address).content, bo.get(address, **{"as": "zip"}).content):
        assert made.text.encode() not in octets
    services.suspend_device(device=device, note="", actor=ADA, now=north.now)
    assert brokers_in(bo.get(address).json()) == []
