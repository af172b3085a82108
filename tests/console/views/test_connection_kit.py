"""The connection kit on a device's page: its programs, and the archive behind the link."""

from __future__ import annotations

from django.test import Client

from brokers.models import Broker
from tests.console.views.scene import Scene


def test_page_shows_the_programs_and_its_link_gives_the_archive(north: Scene, at_bo: Client, at_cy: Client) -> None:
    Broker.objects.filter(id=north.broker.id).update(managed_since=north.now)
    device = north.devices["pump-01"]
    page = at_bo.get(f"/devices/{device}/").content.decode()
    assert page.count("mosquitto_pub -h") == page.count("mqtt.connectAsync(") == page.count("mqtt_client.h") == 1
    link = f"/api/v1/devices/{device}/connection-kit/?as=zip"
    assert f'href="{link}"' in page
    assert at_bo.get(link, headers={"accept": "text/html,*/*;q=0.8"}).headers["Content-Type"] == "application/zip"
    assert at_cy.get(link).status_code == 404


def test_page_shows_none_while_no_broker_knows_the_device(north: Scene, at_bo: Client) -> None:
    assert "Connection kit" not in at_bo.get(f"/devices/{north.devices['pump-01']}/").content.decode()
