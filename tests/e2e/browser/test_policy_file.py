"""Policy as a file in a real browser: a file is chosen, looked at, and made a draft; every look of it is clean."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.console.views.scene import Scene
from tests.e2e.browser.test_screens import LOOKS, Look, faults_of, keep, open_context, watch

pytestmark = pytest.mark.e2e

ACL = """topic read nobody
user pump-01
topic readwrite north/hall/#
topic deny north/hall/keys/#
user gone
topic read a
pattern write fleet/%u/up/#
pattern read cid-%c/#
"""


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_file_of_a_broker_becomes_a_draft(
    look: Look, north: Scene, session_cookie: str, chromium: Browser, live_server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "acl").write_text(ACL)
    context = open_context(chromium, look, live_server, session_cookie)
    page = context.new_page()
    said, faults = watch(page), []
    page.goto(live_server.url + "/roles/")
    page.click("text=Import or export")
    page.wait_for_url("**/roles/_file/")
    keep(page, "policy-file", look)
    faults += faults_of(page)
    page.select_option("#id_format", "mosquitto-acl")
    page.set_input_files("#id_file", tmp_path / "acl")
    page.click("text=Show what it would change")
    expect(page.locator("main")).to_contain_text("+ role pump-01")
    keep(page, "policy-file-plan", look)
    faults += faults_of(page)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.click("text=Make a draft")
    page.wait_for_url("**/changes/**")
    page.goto(live_server.url + "/roles/_file/")
    page.fill("#id_text", "gatehouse_policy: 1\nbindings: no\n")
    page.click("text=Show what it would change")
    expect(page.locator("main")).to_contain_text("Line 2")
    keep(page, "policy-file-faults", look)
    faults += faults_of(page)
    context.close()
    assert (faults, said, wide) == ([], [], 0)
