"""The Explorer in a real browser: the page is there at once, and the answer comes into it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.console.views.scene import Scene
from tests.e2e.browser.test_screens import LOOKS, Look, faults_of, keep, open_context, watch

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("look", [LOOKS[0], LOOKS[-1]], ids=lambda look: look.name)
def test_who_may_is_answered_behind_the_page(
    look: Look, north: Scene, session_cookie: str, chromium: Browser, live_server: LiveServer
) -> None:
    context = open_context(chromium, look, live_server, session_cookie)
    page = context.new_page()
    said = watch(page)
    page.goto(live_server.url + "/explorer/who/?action=publish&topic=north/pump-01/up/x")
    expect(page.locator("#answer .verdict")).to_contain_text("1 device of north may.")
    expect(page.get_by_text("Counting")).to_have_count(0)
    keep(page, "explorer-who-answered", look)
    faults = faults_of(page)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    context.close()
    assert (faults, said, wide) == ([], [], 0)
