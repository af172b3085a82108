"""Trust as an operator lives it: a certificate seen from outside, many revoked at once, a CA rolled over, a profile."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser.test_journey import keep
from tests.e2e.house import Fleet, House

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(chromium: Browser, house: House) -> Iterator[Page]:
    """A browser of an operator who came in by a fresh setup link."""
    context = chromium.new_context()
    page = context.new_page()
    found = re.search(r"/setup/[\w-]+/", house.manage("setup_link", "admin"))
    assert found
    page.goto(house.url + found.group())
    page.get_by_label("New password").fill("the gate stays shut at 9")
    page.get_by_label("The same once more").fill("the gate stays shut at 9")
    page.get_by_role("button", name="Set password and sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield page
    context.close()


def test_many_are_revoked_and_each_page_shows_what_clients_see(page: Page, house: House, fleet: Fleet) -> None:
    for number in range(3):
        fleet.enroll(f"batch-{number}")
    page.goto(f"{house.url}/certificates/?q=batch-1")
    page.locator("td a code").first.click()
    certificate = page.url
    expect(page.locator("#status .verdict")).to_contain_text("Record, OCSP and CRL agree: issued")
    keep(page, "trust-status")

    page.get_by_role("link", name="Revocation").click()
    page.get_by_role("link", name="Revoke many").click()
    page.get_by_label("Subject begins with").fill("CN=batch-")
    page.get_by_role("button", name="Show what fits").click()
    expect(page.get_by_text("3 certificates, not revoked yet")).to_be_visible()
    page.get_by_label("Reason").select_option("keyCompromise")
    page.get_by_label("Type revoke 3 to confirm").fill("revoke 3")
    page.get_by_role("button", name="Revoke 3 certificates").click()
    panel = page.locator("#operation")
    expect(panel.locator("h2")).to_contain_text("done")
    keep(page, "trust-revoked-many")

    page.goto(certificate)
    verdict = page.locator("#status .verdict")
    for _ in range(90):  # the CRL is at most seconds behind
        expect(verdict).to_be_visible()
        if "agree" in verdict.inner_text():
            break
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Ask again").click()
        page.wait_for_timeout(500)
    expect(verdict).to_contain_text("Record, OCSP and CRL agree: revoked")
    expect(page.locator("#status")).to_contain_text("keyCompromise")
    keep(page, "trust-status-revoked")


def test_profile_is_tried_while_it_is_typed_and_then_in_use(page: Page, house: House, fleet: Fleet) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{house.url}/profiles/device/edit/")
    for name in ("subject", "alternative_names", "policies", "key_usage_0"):
        expect(page.locator(f"#id_{name}")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    preview = page.locator("#preview")
    expect(preview).to_contain_text("CN=sample")
    page.get_by_label("Subject").fill("O=Acme\nCN=${auth_id}")
    expect(preview).to_contain_text("O=Acme")
    page.get_by_label("How many CAs may be below one").fill("1")
    expect(preview).to_contain_text("is for CAs")
    page.get_by_label("How many CAs may be below one").fill("")
    expect(preview).to_contain_text("O=Acme")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("heading", name="device")).to_contain_text("version")
    made = fleet.enroll("by-the-new-profile").answer["certificate"]
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"], input=made.encode(), capture_output=True, check=True
    )
    assert said.stdout.decode().strip() == "subject=O = Acme, CN = by-the-new-profile"
    page.get_by_role("button", name="Back to the built-in one").click()
    expect(page.get_by_role("heading", name="device")).to_contain_text("built in")


def test_ca_is_rolled_over_and_both_are_seen(page: Page, house: House, fleet: Fleet) -> None:
    old = house.facts["issuer"]
    page.goto(f"{house.url}/issuers/{old}/")
    page.get_by_role("link", name="Roll over").click()
    page.get_by_role("button", name="Roll over now").click()
    expect(page.get_by_text("signs new certificates from now on")).to_be_visible()
    page.get_by_role("link", name="Issuers").first.click()
    tree = page.get_by_role("region", name="Issuers")
    expect(tree).to_contain_text("superseded")
    expect(tree).to_contain_text("-g2")
    keep(page, "trust-rolled-over")
    assert fleet.enroll("after-the-rollover").answer["certificate"]
    page.goto(f"{house.url}/certificates/?q=after-the-rollover")
    expect(page.get_by_role("region", name="Certificates")).to_contain_text("-g2")
