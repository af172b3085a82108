"""Every screen in a real browser, wide and on a phone, light and dark: the CSP refuses nothing, axe finds nothing.

With GATEHOUSE_TEST_SCREENSHOTS=<folder> a picture of each is kept there: `make screenshots`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from acl import services as acl
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.decide.decisions import Identity
from brokers.core.values import AccessKind, BrokerEvent
from brokers.models import Broker
from brokers.services import mint_decision_secret, note_events, plan_broker, policy_use, rotate_token_keys
from console.core.roles import ConsoleRole
from console.models import Operator
from console.services.operators import grant_role, make_setup_link
from devices import services as devices
from devices.queries import credentials_of
from devices.services.bindings import BindingTarget
from devices.services.device_rules import set_device_rules
from kernel.core.actor import SYSTEM
from kernel.core.errors import Unavailable
from kernel.core.ids import EntryId
from pki import services as pki
from pki.core.values import ReasonCode
from tests.console.views.scene import Scene, build_scene, make_csr

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

AXE = Path(__file__).resolve().parents[2] / "data" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe that see colours: what is all that a theme changes."""
BUSY = ".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added"
"""What a page fetches when it is loaded, it begins to fetch before it says that it is loaded."""


@dataclass(frozen=True)
class Look:
    """A width and a theme."""

    width: int
    height: int
    theme: str

    @property
    def name(self) -> str:
        return f"{self.width}-{self.theme}"


LOOKS = (Look(1440, 900, "light"), Look(1440, 900, "dark"), Look(390, 844, "light"), Look(390, 844, "dark"))


def listen_to_all(scene: Scene) -> None:
    """Lets pumps hear each other, so that there is something to draw."""
    rule = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/+/up/#")
    role = acl.create_role(domain=scene.domain, name="listener", rules=[rule], actor=SYSTEM, now=scene.now)
    devices.bind_role(
        domain=scene.domain, role=role.id, target=BindingTarget(device_type="pump"), actor=SYSTEM, now=scene.now
    )


def deny_often(scene: Scene) -> None:
    """The broker told of a device that tries again and again, and of somebody with a long name."""
    events = [
        BrokerEvent(
            at=scene.now,
            kind=AccessKind.DENIED,
            action=AccessAction.PUBLISH,
            topic="north/pump-02/up/a/rather/long/topic",
            qos=1,
            reason=AccessReason.NOT_ALLOWED,
            auth_id="pump-01",
            client_id="pump-01",
            address="192.0.2.5",
        )
    ] * 3
    strange = BrokerEvent(at=scene.now, kind=AccessKind.REFUSED, reason=AccessReason.UNKNOWN, client_id="who" * 40)
    note_events(broker=scene.broker.id, events=[*events, strange])
    policy_use.flush()


def screens(scene: Scene, operator: Operator) -> dict[str, str]:
    """Name and address of every screen of a signed-in operator."""
    device = scene.devices["pump-01"]
    scene.waiting("meter-01")
    with pytest.raises(Unavailable):
        plan_broker(broker=scene.broker.id, actor=SYSTEM, now=scene.now)
    operation: EntryId = devices.revoke_device(
        device=scene.devices["pump-05"], reason=ReasonCode.KEY_COMPROMISE, actor=SYSTEM, now=scene.now, note="stolen"
    )
    certificate = credentials_of(device=device)[0].certificate
    listen_to_all(scene)
    deny_often(scene)
    for days in (31, 1):
        rotate_token_keys(now=scene.now - timedelta(days=days))
    mint_decision_secret(broker=scene.broker.id, identity=Identity.SHOWN, actor=SYSTEM, now=scene.now)
    alarm = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="${domain}/alarm/${client_id}")
    set_device_rules(device=device, rules=[alarm], actor=SYSTEM, now=scene.now)
    Broker.objects.filter(id=scene.broker.id).update(managed_since=scene.now)  # devices may connect to it
    devices.issue_password(device=device, actor=SYSTEM, now=scene.now)
    devices.rotate_password(device=device, actor=SYSTEM, now=scene.now)
    application = devices.register_application(domain=scene.domain, name="dashboards", actor=SYSTEM, now=scene.now).id
    devices.certify_application(application=application, csr=make_csr("x"), actor=SYSTEM, now=scene.now)
    pki.request_issuer(domain=scene.domain, slug="company", common_name="By the company", actor=SYSTEM, now=scene.now)
    return {
        "overview": "/",
        "time-zone": "/time-zone/",
        "devices": "/devices/",
        "devices-none-fits": "/devices/?state=decommissioned",
        "device": f"/devices/{device}/",
        "device-rules": f"/devices/{device}/rules/",
        "device-password": f"/devices/{device}/passwords/new/",
        "applications": "/applications/",
        "application": f"/applications/{application}/",
        "application-new": "/applications/new/",
        "application-certify": f"/applications/{application}/certify/",
        "application-revoke": f"/devices/{application}/revoke/",
        "device-revoked": f"/devices/{scene.devices['pump-05']}/?operation={operation}",
        "device-revoke": f"/devices/{device}/revoke/",
        "device-explain": f"/devices/{device}/explain/?action=publish&topic=north/pump-01/up/internal/x",
        "explorer": "/explorer/?device=pump-01&action=publish&topic=north/pump-01/up/internal/x",
        "explorer-who": "/explorer/who/?action=publish&topic=north/%2B/up/%23",
        "explorer-reach": "/explorer/reach/?from=domain&to=domain",
        "enrolment": "/enrolment/",
        "enrolment-new": "/enrolment/new/",
        "issuers": "/issuers/",
        "issuer": f"/issuers/{scene.ca.slug}/",
        "issuer-roll-over": f"/issuers/{scene.ca.slug}/roll-over/",
        "issuer-cross-sign": f"/issuers/{scene.ca.slug}/cross-sign/",
        "issuer-retire": f"/issuers/{scene.ca.slug}/retire/",
        "issuer-revoke": f"/issuers/{scene.ca.slug}/revoke/",
        "issuer-request": "/issuers/_requests/company/",
        "issuer-add": "/issuers/_new/",
        "issuer-add-root": "/issuers/_new/root/",
        "issuer-add-import": "/issuers/_new/import/",
        "token-keys": "/token-keys/",
        "token-keys-replace": "/token-keys/replace/",
        "certificates": "/certificates/",
        "certificate": f"/certificates/{certificate}/",
        "certificate-revoked": f"/certificates/{credentials_of(device=scene.devices['pump-05'])[0].certificate}/",
        "certificates-fault": "/certificates/?state=happy",
        "certificate-revoke": f"/certificates/{certificate}/revoke/",
        "profiles": "/profiles/",
        "profile": "/profiles/device/",
        "profile-version": "/profiles/device/versions/0/",
        "profile-edit": "/profiles/device/edit/",
        "profile-edit-json": "/profiles/device/edit/json/",
        "revocation": "/revocation/",
        "revocation-many": "/revocation/many/?subject=CN%3Dpump-",
        "roles": "/roles/",
        "role": f"/roles/{scene.role.id}/",
        "role-edit": f"/roles/{scene.role.id}/edit/",
        "brokers": "/brokers/",
        "broker-new": "/brokers/_new/",
        "broker-register": "/brokers/_new/hivemq-ese-sql/",
        "broker": f"/brokers/{scene.broker.name}/",
        "broker-edit": f"/brokers/{scene.broker.name}/edit/",
        "broker-listeners": f"/brokers/{scene.broker.name}/listeners/",
        "broker-listener-profile": f"/brokers/{scene.broker.name}/listeners/profile/",
        "broker-decision-secret": f"/brokers/{scene.broker.name}/decision-secrets/new/",
        "broker-authentication": f"/brokers/{scene.broker.name}/authentication/",
        "sessions": "/sessions/",
        "access-log": "/access-log/",
        "access-log-none-fits": "/access-log/?device=nobody",
        "suggestions": "/suggestions/",
        "journal": "/journal/",
        "search": "/search/?q=pump",
        "not-found": f"/devices/{scene.domain}/",
    }


def open_context(browser: Browser, look: Look, server: LiveServer, session: str = "") -> BrowserContext:
    """A browser of that look, signed in if there is a session."""
    context = browser.new_context(viewport={"width": look.width, "height": look.height}, color_scheme=look.theme)  # type: ignore[arg-type]
    if session:
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": server.url}])
    return context


def watch(page: Page) -> list[str]:
    """What the browser complains about, as it comes. A 404 that was asked for is none."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def faults_of(page: Page, *, rules: list[str] = TAGS) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run({runOnly: rules})", rules)
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def keep(page: Page, name: str, look: Look) -> None:
    """A picture, where pictures are wanted."""
    folder = os.environ.get("GATEHOUSE_TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}-{look.name}.png", full_page=True)


def visit(
    context: BrowserContext, server: LiveServer, look: Look, addresses: dict[str, str]
) -> tuple[list[str], list[str]]:
    """What is wrong with the screens at these addresses, by name, and what the browser complains about; closes it."""
    page = context.new_page()
    said, faults = watch(page), []
    for name, address in addresses.items():
        page.goto(server.url + address)
        expect(page.locator(BUSY)).to_have_count(0)
        keep(page, name, look)
        rules = COLOURS if look.theme == "dark" else TAGS  # the other rules have seen this width in light
        faults += [f"{name}: {fault}" for fault in faults_of(page, rules=rules)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += [f"{name}: {wide} px wider than the window"] if wide > 0 else []
    context.close()
    return faults, said


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_every_screen_is_clean(
    look: Look, north: Scene, ada: Operator, session_cookie: str, chromium: Browser, live_server: LiveServer
) -> None:
    faults, said = visit(
        open_context(chromium, look, live_server, session_cookie), live_server, look, screens(north, ada)
    )
    faults += [line for line in said if "404" not in line]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_way_in_is_clean(
    look: Look, north: Scene, ada: Operator, chromium: Browser, live_server: LiveServer
) -> None:
    context = open_context(chromium, look, live_server)
    page = context.new_page()
    said, faults = watch(page), []
    link = make_setup_link(operator=ada, actor=SYSTEM, now=north.now)
    places = {"sign-in": "/sign-in/", "set-up": re.sub(r"^https?://[^/]+", "", link), "set-up-spent": "/setup/none/"}
    for name, address in places.items():
        page.goto(live_server.url + address)
        keep(page, name, look)
        faults += [f"{name}: {fault}" for fault in faults_of(page)]
    context.close()
    faults += [line for line in said if "404" not in line]
    assert not faults, "\n".join(faults)


def test_an_empty_domain_teaches(
    north: Scene, ada: Operator, session_cookie: str, chromium: Browser, live_server: LiveServer
) -> None:
    empty = build_scene(slug="a-new-one", now=north.now)
    grant_role(operator=ada, domain=empty.domain, role=ConsoleRole.OWNER, actor=SYSTEM, now=north.now)
    look = LOOKS[0]
    context = open_context(chromium, look, live_server, session_cookie)
    page = context.new_page()
    for name, address in (
        ("overview-empty", "/"),
        ("devices-empty", "/devices/"),
        ("certificates-empty", "/certificates/"),
    ):
        page.goto(live_server.url + address)
        keep(page, name, look)
        assert faults_of(page) == []
    page.goto(live_server.url + "/devices/")
    assert "openssl req -new" in page.inner_text("main")
    context.close()
