"""/api/v1/findings/"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from kernel.core.clock import utc_now
from kernel.core.errors import Unavailable
from pki.models import Crl, PublicKeyHolder
from tests.cast import SOUTH
from tests.console.conftest import token_of

pytestmark = pytest.mark.django_db

PATH = "/api/v1/findings/"


@pytest.fixture(autouse=True)
def _reachable(settings: Any) -> Iterator[None]:
    settings.GATEHOUSE_BASE_URL = "http://pki.example.com"
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ill(fleet: Mapping[str, str]) -> Mapping[str, str]:
    """A fleet whose CRLs have run out, and whose devices' keys are weak."""
    Crl.objects.update(next_update=utc_now())
    PublicKeyHolder.objects.filter(holder__startswith="device:").update(weakness="debian")
    return fleet


def get(client: Client, query: str = "", **kwargs: Any) -> Any:
    return client.get(f"{PATH}{query}", headers=token_of(**kwargs))


def test_fleet_that_is_well_has_none(client: Client, fleet: Mapping[str, str]) -> None:
    assert {each["severity"] for each in get(client).json()["results"]} <= {"info"}  # something waits to be signed


def test_worst_first_with_remedy_and_stable_id(client: Client, ill: Mapping[str, str]) -> None:
    first, again = get(client).json()["results"], get(client).json()["results"]
    assert [each["id"] for each in first] == [each["id"] for each in again]
    codes = [each["code"] for each in first]
    assert set(codes) >= {"crl-overdue", "key-weak"}
    assert {each["domain"] for each in first} == {"north"}
    weak = next(each for each in first if each["code"] == "key-weak")
    assert weak["severity"] == "critical"
    assert weak["subject"] == {"kind": "pki.certificate", "id": ill["certificate"], "label": weak["subject"]["label"]}
    assert "CVE-2008-0166" in weak["detail"]
    assert weak["remedy"].startswith("Revoke it")
    assert weak["since"].endswith("Z")


def test_pages_follow_one_another(client: Client, ill: Mapping[str, str]) -> None:
    whole = [each["id"] for each in get(client).json()["results"]]
    seen, query = [], "?limit=1"
    while query:
        answer = get(client, query).json()
        seen += [each["id"] for each in answer["results"]]
        assert answer["approximate_count"] == len(whole)
        query = f"?limit=1&cursor={answer['next']}" if answer["next"] else ""
    assert seen == whole


def test_narrowed_by_severity_and_code(client: Client, ill: Mapping[str, str]) -> None:
    assert {each["code"] for each in get(client, "?code=key-weak").json()["results"]} == {"key-weak"}
    assert get(client, "?severity=info&code=key-weak").json()["results"] == []
    wrong = get(client, "?severity=bad")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "/severity")


def test_another_domain_sees_none_of_it(client: Client, ill: Mapping[str, str]) -> None:
    assert get(client, domain=SOUTH).json()["results"] == []


def test_what_is_the_installations_is_nobodys_domain(client: Client, ill: Mapping[str, str], settings: Any) -> None:
    settings.GATEHOUSE_BASE_URL = "https://gatehouse.example.com:8443"
    [finding] = get(client, "?code=pki-url-needs-tls").json()["results"]
    assert finding["domain"] is None


@pytest.mark.parametrize("fault", [Unavailable("the table is away"), RecursionError("too deep")])
def test_source_that_can_not_be_read_is_a_finding(
    fault: Exception, client: Client, fleet: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise fault

    monkeypatch.setattr("pki.queries.findings.list_freshness", refuse)
    [finding] = get(client, "?severity=error").json()["results"]
    assert (finding["code"], finding["severity"]) == ("findings-unreadable", "error")
