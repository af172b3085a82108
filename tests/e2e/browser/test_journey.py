"""The first hour as an operator lives it: setup link, token, the lines pasted into a shell, suspend, revoke."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.house import House
from tests.e2e.mqtt import Identity, MqttDevice
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(chromium: Browser, house: House) -> Iterator[Page]:
    """A browser of an operator who came in by a fresh setup link."""
    context = chromium.new_context()
    page = context.new_page()
    said = house.manage("setup_link", "admin")
    found = re.search(r"/setup/[\w-]+/", said)
    assert found, said
    page.goto(house.url + found.group())
    page.get_by_label("New password").fill("the gate stays shut at 9")
    page.get_by_label("The same once more").fill("the gate stays shut at 9")
    page.get_by_role("button", name="Set password and sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield page
    context.close()


def keep(page: Page, name: str) -> None:
    """A picture, where pictures are wanted."""
    folder = os.environ.get("GATEHOUSE_TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_device_is_enrolled_by_the_lines_of_the_page_and_thrown_out(page: Page, house: House, tmp_path: Path) -> None:
    page.get_by_role("link", name="New enrolment token").first.click()
    page.get_by_role("button", name="Make the token").click()
    lines = page.locator("#lines").inner_text().replace("pump-17", "journey-pump")
    done = subprocess.run(
        ["bash", "-euc", lines], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "journey-pump.json").read_text()

    page.keyboard.press("/")
    expect(page.locator("#jump")).to_be_focused()
    page.keyboard.insert_text("journey")
    page.locator("#jump-found a").first.click()
    expect(page.get_by_role("heading", name="journey-pump")).to_be_visible()

    files = [tmp_path / f"journey-pump.{end}" for end in ("pem", "key")]
    identity = Identity("journey-pump", files[0], files[1], tmp_path / "trust.pem")
    device = MqttDevice(identity, port=house.mqtt_port)
    assert device.connect()

    def shows_the_session() -> bool:
        page.reload()
        return page.get_by_text("1 session").is_visible()

    wait_until(shows_the_session, what="the page shows the session")
    keep(page, "journey-connected")

    page.get_by_label("to the topic").fill("default/journey-pump/up/t")
    expect(page.locator("#explanation .verdict")).to_contain_text("Allowed")
    page.get_by_label("to the topic").fill("default/another/up/t")
    expect(page.locator("#explanation .verdict")).to_contain_text("Refused")
    keep(page, "journey-explained")

    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#operation h2")).to_contain_text("done")
    expect(page.locator("#heading")).to_contain_text("suspended")
    expect(page.get_by_text("0 sessions")).to_be_visible()
    assert device.wait_closed()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#operation h2")).to_contain_text("done")

    page.get_by_role("link", name="Revoke").click()
    page.get_by_label("Type its name to confirm").fill("journey-pump")
    page.get_by_label("Reason").select_option("keyCompromise")
    page.get_by_role("button", name="Revoke journey-pump").click()
    panel = page.locator("#operation")
    expect(panel.locator("h2")).to_contain_text("done")
    for name in ("Broker embedded", "OCSP", "CRL of"):
        row = panel.locator("tr", has_text=name)
        expect(row).to_contain_text("done")
        expect(row).to_contain_text("ms")
    keep(page, "journey-revoked")


def test_broker_that_holds_no_policy_is_checked_and_offered_no_plan(page: Page, house: House) -> None:
    page.goto(f"{house.url}/brokers/embedded/")
    expect(page.get_by_text("It enforces every rule of this domain exactly as written.")).to_be_visible()
    expect(page.get_by_role("button", name="Plan changes")).to_have_count(0)
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status").get_by_text("It holds exactly the policy.")).to_be_visible()
    keep(page, "journey-broker")


def test_keyboard_reaches_the_jump_box_and_leaves_it(page: Page, house: House) -> None:
    page.goto(f"{house.url}/journal/")
    page.keyboard.press("Control+k")
    expect(page.locator("#jump")).to_be_focused()
    page.keyboard.insert_text("device-def")
    expect(page.locator("#jump-found a").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#jump-found a").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="device-default")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("/")
    expect(page.locator("#jump")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#jump")).not_to_be_focused()


def test_theme_changes_at_once_and_stays(page: Page, house: House) -> None:
    page.get_by_role("button", name=re.compile("^Operator")).click()
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    page.goto(f"{house.url}/devices/")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"


def test_navigation_is_a_drawer_on_a_phone(page: Page, house: House) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(house.url)
    link = page.get_by_role("navigation", name="Main").get_by_role("link", name="Journal")
    expect(link).not_to_be_visible()
    page.get_by_role("button", name="Open navigation").click()
    link.click()
    expect(page.get_by_role("heading", name="Journal")).to_be_visible()
