"""The screen of findings, its count beside the navigation, and what the overview says of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from kernel.core.clock import utc_now
from pki.models import Certificate, Crl, PublicKeyHolder
from tests.console.views.scene import Scene


@pytest.fixture(autouse=True)
def _reachable(settings: Any) -> Iterator[None]:
    settings.GATEHOUSE_BASE_URL = "http://pki.example.com"
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def overdue(north: Scene) -> Scene:
    """A domain whose CRLs have run out."""
    Crl.objects.update(next_update=utc_now() - timedelta(hours=2))
    return north


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content[:2000]
    return str(answer.content.decode())


def test_nothing_is_the_matter(north: Scene, at_ada: Client) -> None:
    assert "Nothing is the matter" in text(at_ada, "/findings/")
    assert 'class="attention"' not in text(at_ada, "/findings/")


def test_finding_has_severity_evidence_remedy_and_link(overdue: Scene, at_ada: Client) -> None:
    page = text(at_ada, "/findings/")
    assert page.count("<code>crl-overdue</code>") >= 2
    assert f'href="/issuers/{overdue.ca.slug}/"' in page
    assert "past its next update" in page
    assert f"<code>manage.py crl publish {overdue.ca.slug}</code>" in page
    assert "2 h ago" in page


def test_count_stands_beside_the_navigation(overdue: Scene, at_ada: Client) -> None:
    found = Crl.objects.values("issuer", "kind", "shard").distinct().count()
    for address in ("/", "/devices/", "/findings/"):
        page = text(at_ada, address)
        assert f'<span class="attention"><span class="visually-hidden">: </span>{found}</span>' in page


def test_narrowed_by_severity_and_code(overdue: Scene, at_ada: Client) -> None:
    PublicKeyHolder.objects.filter(holder=f"device:{overdue.devices['pump-05']}").update(weakness="roca")
    assert "ROCA" in text(at_ada, "/findings/?code=key-weak")
    assert "<code>crl-overdue</code>" not in text(at_ada, "/findings/?code=key-weak")
    assert "Nothing of this sort" in text(at_ada, "/findings/?severity=info")
    assert "ROCA" in text(at_ada, "/findings/?severity=critical")


def test_another_domains_findings_are_not_there(overdue: Scene, at_cy: Client) -> None:
    page = text(at_cy, "/findings/")
    assert overdue.ca.slug not in page


def test_long_list_has_pages(overdue: Scene, at_ada: Client) -> None:
    holders = [f"device:{device}" for device in overdue.devices.values()]
    holders += [f"device:{overdue.enroll(f'meter-{number:02}')}" for number in range(30)]
    PublicKeyHolder.objects.filter(holder__in=holders).update(weakness="debian")
    page = text(at_ada, "/findings/?code=key-weak")
    assert page.count("<code>key-weak</code>") == 25
    following = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert text(at_ada, f"/findings/{following}").count("<code>key-weak</code>") >= 5
    assert at_ada.get("/findings/?cursor=W10").status_code == 400


def test_overview_says_how_many_of_each_severity(overdue: Scene, at_ada: Client) -> None:
    page = text(at_ada, "/")
    assert 'href="/findings/?severity=critical"' in page
    assert "past its next update" in page


def test_histogram_links_each_week_to_its_certificates(north: Scene, at_ada: Client) -> None:
    today = north.now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today + timedelta(days=7 - today.weekday())
    ids = list(Certificate.objects.filter(holder__startswith="device:", state="issued").values_list("id", flat=True))[
        :2
    ]
    Certificate.objects.filter(id__in=ids).update(not_after=monday + timedelta(days=10))
    cache.clear()
    page = text(at_ada, "/")
    begin, end = monday + timedelta(days=7), monday + timedelta(days=14)
    address = f"/certificates/?state=issued&amp;ends_from={begin:%Y-%m-%d}&amp;ends_before={end:%Y-%m-%d}"
    assert address in page
    behind = text(at_ada, address.replace("&amp;", "&"))
    for id in ids:
        assert str(id) in behind


def test_devices_are_called_by_their_names(north: Scene, at_ada: Client) -> None:
    ids = [north.devices[name] for name in ("pump-01", "pump-05")]
    PublicKeyHolder.objects.filter(holder__in=[f"device:{id}" for id in ids]).update(weakness="shared-factor:00")
    page = text(at_ada, "/findings/")
    assert "The RSA key of pump-01 shares a prime with pump-05" in page
    assert "The RSA key of pump-05 shares a prime with pump-01" in page
