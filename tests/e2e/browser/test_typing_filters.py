"""A rule's topic filter is judged in a real browser while it is typed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.console.views.scene import Scene
from tests.e2e.browser.test_screens import LOOKS, Look, faults_of, keep, open_context, watch

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("look", [LOOKS[0], LOOKS[-1]], ids=lambda look: look.name)
def test_filter_is_judged_and_completed_as_it_is_typed(
    look: Look, north: Scene, session_cookie: str, chromium: Browser, live_server: LiveServer
) -> None:
    context = open_context(chromium, look, live_server, session_cookie)
    page = context.new_page()
    said = watch(page)
    page.goto(live_server.url + "/roles/new/")
    field, hint = page.locator("#id_rule-0-topic"), page.locator(".filter-check").first
    field.press_sequentially("${domain}/${cli")
    way = page.locator("#rule-0-topic-list option").first
    expect(way).to_have_attribute("value", "${domain}/${client_id}")
    field.fill("${domain}/${client_id}/up/#")
    expect(hint).to_contain_text("for pump-01: north/pump-01/up/#")
    keep(page, "filter-example", look)
    faults = faults_of(page)
    field.fill("${domain}/#/up")
    expect(hint.locator(".fault")).to_be_visible(timeout=30_000)
    keep(page, "filter-fault", look)
    faults += faults_of(page)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert (faults, said, wide) == ([], [], 0)
