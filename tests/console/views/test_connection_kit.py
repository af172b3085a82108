"""The connection kit on a device's page: its programs, and the archive behind the link."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from django.test import Client

from brokers.models import Broker
from devices import services
from kernel.core.actor import SYSTEM
from tests.console.views.scene import Scene, make_csr


def test_page_shows_the_programs_and_its_link_gives_the_archive(north: Scene, at_bo: Client, at_cy: Client) -> None:
    Broker.objects.filter(id=north.broker.id).update(managed_since=north.now)
    device = north.devices["pump-01"]
    page = at_bo.get(f"/devices/{device}/").content.decode()
    assert page.count("mosquitto_pub -h") == page.count("mqtt.connectAsync(") == page.count("mqtt_client.h") == 1
    link = f"/api/v1/devices/{device}/connection-kit/?as=zip"
    assert f'href="{link}"' in page
    assert at_bo.get(link, headers={"accept": "text/html,*/*;q=0.8"}).headers["Content-Type"] == "application/zip"
    assert at_cy.get(link).status_code == 404


def test_application_has_a_kit_as_well(north: Scene, at_ada: Client, at_bo: Client, at_cy: Client) -> None:
    Broker.objects.filter(id=north.broker.id).update(managed_since=north.now)
    who: dict[str, Any] = {"actor": SYSTEM, "now": north.now}
    application = services.register_application(domain=north.domain, name="dashboards", **who).id
    services.certify_application(application=application, csr=make_csr("x"), **who)
    link = f"/api/v1/broker-applications/{application}/connection-kit/"
    page = at_ada.get(f"/applications/{application}/").content.decode()
    assert f'href="{link}?as=zip"' in page
    assert "--cert dashboards.pem --key dashboards.key" in page
    kit = at_bo.get(link).json()
    assert (kit["application"], kit["username"], [each["name"] for each in kit["brokers"]]) == (
        str(application),
        "dashboards",
        [north.broker.name],
    )
    assert "device" not in kit
    packed = zipfile.ZipFile(io.BytesIO(at_bo.get(link, {"as": "zip"}).content))
    assert packed.read("trust.pem").decode() == kit["trust_bundle"]
    assert at_cy.get(link).status_code == 404
    assert at_bo.get(f"/api/v1/devices/{application}/connection-kit/").status_code == 404


def test_page_shows_none_while_no_broker_knows_the_device(north: Scene, at_bo: Client) -> None:
    assert "Connection kit" not in at_bo.get(f"/devices/{north.devices['pump-01']}/").content.decode()
