"""Ending sessions on the console: who is offered it, what is said before, and the operation that comes of it."""

from __future__ import annotations

import html
from uuid import uuid4

from django.test import Client

from brokers import models, queries
from brokers import services as brokers
from brokers.core.values import AccessKind, BrokerEvent
from console.core.roles import ConsoleRole
from devices import services as devices
from kernel.core.actor import SYSTEM
from kernel.models import JournalEntry, Wakeup
from tests.console.views.conftest import browser_of
from tests.console.views.scene import Scene, make_operator


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return html.unescape(answer.content.decode())


def orders() -> int:
    return Wakeup.objects.filter(task="brokers.disconnect").count()


def test_session_is_ended_from_the_list_after_a_question(north: Scene, at_ada: Client, at_bo: Client) -> None:
    device = north.devices["pump-01"]
    address = f"/brokers/{north.broker.name}/disconnect/{device}/"
    lists = ("/sessions/", f"/brokers/{north.broker.name}/")
    assert not any(address in shown(at_ada, page) for page in lists), "nothing was applied there yet"
    models.Broker.objects.update(managed_since=north.now)
    assert all(address in shown(at_ada, page) for page in lists)
    assert not any(address in shown(at_bo, page) for page in lists)
    assert at_bo.get(address).status_code == at_bo.post(address).status_code == 403

    asked = shown(at_ada, address)
    assert "It may come back at once" in asked
    assert f'"/devices/{device}/"' in asked, "where it is suspended"
    assert orders() == 0
    done = at_ada.post(address, {"note": "It hangs."})

    operation = done.headers["Location"]
    assert operation.startswith(f"/devices/{device}/?operation=")
    assert f"Broker {north.broker.name}" in shown(at_ada, operation)
    entry = JournalEntry.objects.get(action="brokers.session.end_ordered")
    assert (entry.subject_id, entry.note) == (str(device), "It hangs.")
    assert at_ada.post(address).headers["Location"] == operation, "one is under way"
    assert orders() == 1


def test_broker_that_can_end_none_shows_no_button_and_says_why(north: Scene, at_ada: Client) -> None:
    asks = queries.sealed_connection({"dialect": "emqx"}, broker=north.broker.id)
    models.Broker.objects.update(managed_since=north.now, kind="http-decisions", connection=asks)
    address = f"/brokers/{north.broker.name}/disconnect/{north.devices['pump-01']}/"

    assert address not in shown(at_ada, "/sessions/")
    assert "suspend it" in shown(at_ada, address)
    assert at_ada.post(address).status_code == 200
    assert orders() == 0
    page = shown(at_ada, f"/brokers/{north.broker.name}/capabilities/")
    assert "Sessions can not be closed from here" in page
    assert "RabbitMQ asks no more" not in page, "that is another dialect's"


def test_nobody_ends_what_is_not_theirs(north: Scene, at_cy: Client, at_ada: Client) -> None:
    models.Broker.objects.update(managed_since=north.now)
    device = north.devices["pump-01"]
    assert at_cy.post(f"/brokers/{north.broker.name}/disconnect/{device}/").status_code == 404
    assert at_cy.post(f"/brokers/hall-south/disconnect/{device}/").status_code == 404
    assert at_ada.post(f"/brokers/{north.broker.name}/disconnect/{uuid4()}/").status_code == 404
    assert at_ada.post(f"/brokers/no-such/disconnect/{device}/").status_code == 404
    onboarding = browser_of(make_operator("oz", ConsoleRole.ONBOARDING, north.domain, now=north.now))
    assert onboarding.post(f"/brokers/{north.broker.name}/disconnect/{device}/").status_code == 302
    assert orders() == 1


def test_session_of_an_application_has_no_button_for_who_may_end_devices_alone(north: Scene, at_ada: Client) -> None:
    made = devices.register_application(domain=north.domain, name="dashboards", actor=SYSTEM, now=north.now)
    came = BrokerEvent(at=north.now, kind=AccessKind.CONNECTED, auth_id="dashboards", client_id="dashboards")
    brokers.note_events(broker=north.broker.id, events=[came])
    models.Broker.objects.update(managed_since=north.now)
    onboarding = browser_of(make_operator("oz", ConsoleRole.ONBOARDING, north.domain, now=north.now))
    base = f"/brokers/{north.broker.name}"
    device, application = f"{base}/disconnect/{north.devices['pump-01']}/", f"{base}/disconnect/{made.id}/"
    for page in ("/sessions/", f"{base}/"):
        assert device in shown(onboarding, page)
        assert application not in shown(onboarding, page)
        assert all(address in shown(at_ada, page) for address in (device, application))
    assert onboarding.get(application).status_code == 403
    models.Session.objects.exclude(device_id=made.id).delete()
    assert ">Acts<" not in shown(onboarding, "/sessions/"), "a column with nothing in it"
