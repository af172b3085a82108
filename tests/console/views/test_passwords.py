"""Passwords on a device's page: made by a form, shown once, switched to, revoked; and brokers that take them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from brokers.core.ports import PasswordRoom
from brokers.models import Broker
from brokers.queries import capabilities_of, sealed_connection
from devices import queries
from devices.core.values import CredentialState as S
from tests.console.views.scene import Scene

SHOWN = re.compile(r'id="password" tabindex="0">([2-9a-z-]{34})<')


def states(north: Scene, name: str) -> list[S]:
    return [each.state for each in reversed(queries.passwords_of(device=north.devices[name]))]


def test_passwords_are_made_followed_switched_to_and_revoked(north: Scene, at_ada: Client) -> None:
    device = north.enroll("pump-31")
    page, new = f"/devices/{device}/", f"/devices/{device}/passwords/new/"
    offered = at_ada.get(new).content.decode()
    assert "present password" not in offered
    assert "No broker of the domain takes passwords" in offered
    Broker.objects.filter(id=north.broker.id).update(takes_passwords=True)
    assert f'href="/brokers/{north.broker.name}/"' in at_ada.get(new).content.decode()
    Broker.objects.filter(id=north.broker.id).update(takes_passwords=None)
    answer = at_ada.post(new, {"make": "1"})
    assert "no-store" in answer.headers["Cache-Control"]
    [first] = SHOWN.findall(answer.content.decode())
    [kept] = queries.good_passwords(device=device, now=north.now)
    assert kept.verifier.is_of(first)
    assert first not in at_ada.get(page).content.decode()
    assert "present password" in at_ada.get(new).content.decode()
    [second] = SHOWN.findall(at_ada.post(new, {"overlap": "1"}).content.decode())
    assert states(north, "pump-31") == [S.ACTIVE, S.STAGED]
    later = at_ada.get(page).content.decode()
    assert second not in later
    assert "Switch to it" in later
    assert at_ada.post(f"/devices/{device}/passwords/switch/").headers["Location"].startswith(f"{page}?operation=")
    assert states(north, "pump-31") == [S.RETIRING, S.ACTIVE]
    revoke = f"/devices/{device}/passwords/{kept.id}/revoke/"
    assert at_ada.post(revoke).headers["Location"].startswith(f"{page}?operation=")
    assert at_ada.post(revoke).headers["Location"] == page  # it is said, and harmless
    assert states(north, "pump-31") == [S.REVOKED, S.ACTIVE]


@pytest.mark.parametrize("act", ["new", "switch", "{}/revoke"])
def test_who_may_only_read_or_is_of_another_domain_changes_none(
    north: Scene, at_ada: Client, at_bo: Client, at_cy: Client, act: str
) -> None:
    device = north.enroll("pump-32")
    at_ada.post(f"/devices/{device}/passwords/new/", {"make": "1"})
    [kept] = queries.good_passwords(device=device, now=north.now)
    address = f"/devices/{device}/passwords/{act.format(kept.id)}/"
    assert at_bo.post(address, {"make": "1"}).status_code == 403
    assert at_cy.post(address, {"make": "1"}).status_code == 404
    assert states(north, "pump-32") == [S.ACTIVE]
    assert "New password" not in at_bo.get(f"/devices/{device}/").content.decode()


def test_broker_takes_passwords_by_its_button(north: Scene, at_ada: Client, at_bo: Client) -> None:
    page, address = f"/brokers/{north.broker.name}/", f"/brokers/{north.broker.name}/passwords/"
    files = sealed_connection({"files": {"directory": "hall"}}, broker=north.broker.id)
    Broker.objects.filter(id=north.broker.id).update(kind="mosquitto-files", connection=files)
    assert capabilities_of(broker=north.broker.id).passwords is PasswordRoom.ONE
    assert "Take passwords" in at_ada.get(page).content.decode()
    assert at_bo.post(address, {"taken": "1"}).status_code == 403
    assert at_ada.post(address, {"taken": "1"}).status_code == 302
    assert Broker.objects.get(id=north.broker.id).takes_passwords is True
    assert "Take them no more" in at_ada.get(page).content.decode()
    at_ada.post(address, {"taken": ""})
    assert Broker.objects.get(id=north.broker.id).takes_passwords is False
