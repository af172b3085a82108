"""The screen of findings and the overview where much is the matter: by axe, in both themes, wide and on a phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from console.models import Operator
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from pki.models import Certificate, Crl, IssuerRequest, Key, PublicKeyHolder
from tests.console.views.scene import Scene
from tests.e2e.browser.test_screens import LOOKS, Look, open_context, visit

pytestmark = pytest.mark.e2e


@pytest.fixture
def ill(north: Scene) -> Scene:
    """A domain in which something of every severity is the matter, and certificates end in many weeks."""
    now = utc_now()
    Crl.objects.filter(issuer=north.ca.id, kind="full").update(next_update=now - timedelta(hours=2))
    Crl.objects.filter(issuer=north.root.id, kind="full").update(
        this_update=now - timedelta(days=7), next_update=now + timedelta(hours=9)
    )
    holders = [f"device:{north.devices[name]}" for name in ("pump-01", "pump-02")]
    PublicKeyHolder.objects.filter(holder__in=holders).update(weakness="shared-factor:00")
    key = Key.objects.create(id=new_id(), algorithm="ecdsa-p256", wrapped=b"x")
    IssuerRequest.objects.create(
        id=new_id(), domain_id=north.domain, slug="north-ca-2", name="CA 2", key=key, csr=b"x", created_at=now
    )
    for week, id in enumerate(Certificate.objects.filter(holder__startswith="device:").values_list("id", flat=True)):
        Certificate.objects.filter(id=id).update(not_after=now + timedelta(weeks=2 * week + 1))
    cache.clear()
    return north


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_findings_and_overview_are_clean(
    look: Look, ill: Scene, ada: Operator, session_cookie: str, chromium: Browser, live_server: LiveServer
) -> None:
    addresses = {
        "findings": "/findings/",
        "overview-ill": "/",
        "findings-none-fits": "/findings/?code=x",
    }
    faults, said = visit(open_context(chromium, look, live_server, session_cookie), live_server, look, addresses)
    assert not faults + said, "\n".join(faults + said)


def test_finding_leads_to_what_it_is_about(
    ill: Scene, ada: Operator, session_cookie: str, chromium: Browser, live_server: LiveServer
) -> None:
    context = open_context(chromium, LOOKS[0], live_server, session_cookie)
    page = context.new_page()
    page.goto(live_server.url)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Findings").click()
    page.locator("li", has_text="crl-overdue").get_by_role("link", name=ill.ca.slug).click()
    page.wait_for_url(f"**/issuers/{ill.ca.slug}/")
    page.go_back()
    page.get_by_role("link", name="north-ca-2").click()
    page.wait_for_url("**/issuers/_requests/north-ca-2/")
    context.close()
