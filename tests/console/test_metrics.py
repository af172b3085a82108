"""Gatehouse's own metrics, as Prometheus' own parser reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.core.cache import cache
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from brokers.core.values import BrokerId
from brokers.models import Broker
from brokers.services.policy_use import UseNotes
from console.findings import finding_codes
from console.metrics import render_metrics
from console.services.applications import NewApplication
from devices import services as devices
from kernel.core.clock import utc_now
from pki import services as pki
from pki.models import Certificate, Crl, Issuer
from tests.cast import ADA, NORTH
from tests.console.conftest import bearer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def now() -> datetime:
    return utc_now().replace(microsecond=0)


@pytest.fixture
def north(now: datetime) -> datetime:
    """A root and a CA in domain north, of this moment."""
    root = pki.create_root(domain=NORTH, slug="north-root", common_name="Root", actor=ADA, now=now)
    pki.create_issuing_ca(parent=root.id, slug="north-ca", common_name="CA", actor=ADA, now=now)
    return now


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and values of the labels, in the order of their names, of each sample."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(at: datetime) -> dict[tuple[str, ...], float]:
    cache.clear()
    return samples(render_metrics(now=at).decode())


def test_crl_signer_and_issuer_of_each(north: datetime) -> None:
    found = read(north + timedelta(minutes=5))
    for slug in ("north-root", "north-ca"):
        crl = x509.load_der_x509_crl(bytes(Crl.objects.get(issuer__slug=slug, kind="full").der))
        age = (north + timedelta(minutes=5) - crl.last_update_utc).total_seconds()
        assert found["gatehouse_crl_age_seconds", slug, "full"] == age >= 300
        assert crl.next_update_utc is not None
        ends = crl.next_update_utc.timestamp()
        assert found["gatehouse_crl_next_update_timestamp_seconds", slug, "full"] == ends
        assert found["gatehouse_crl_entries", slug, "full"] == len(crl) == 0
    # the signer is backdated by five minutes, and lasts fourteen days from now
    signer = found["gatehouse_ocsp_signer_not_after_timestamp_seconds", "north-ca"]
    assert abs(signer - (north + timedelta(days=14)).timestamp()) <= 300
    assert ("gatehouse_issuer_not_after_timestamp_seconds", "north-root", "active") in found


def test_certificates_by_state_and_by_week(north: datetime) -> None:
    # Two OCSP signers, which end in fourteen days, and the CA's own certificate.
    found = read(north)
    assert found["gatehouse_certificates", "good"] == 3
    assert {found["gatehouse_certificates", state] for state in ("ended", "held", "revoked", "requested")} == {0}
    weeks = [found["gatehouse_certificates_ending", str(week)] for week in range(12)]
    assert weeks == [0, 0, 2, *[0] * 9]
    Certificate.objects.filter(holder__startswith="ocsp:").update(not_after=north - timedelta(seconds=1))
    found = read(north)
    assert (found["gatehouse_certificates", "good"], found["gatehouse_certificates", "ended"]) == (1, 2)
    assert sum(found["gatehouse_certificates_ending", str(week)] for week in range(12)) == 0


def test_what_brokers_told_and_was_lost_is_counted(north: datetime) -> None:
    assert read(north)["gatehouse_access_events_lost_total",] == 0
    domain = devices.create_domain(slug="far", name="Far", actor=ADA, now=north)
    broker = Broker.objects.create(domain_id=domain.id, name="hall-7", kind="nats", connection=b"", created_at=north)
    for count in (3, 4):
        notes = UseNotes()
        notes.note_lost(broker=BrokerId(broker.id), count=count, now=north)
        notes.flush()
    assert read(north)["gatehouse_access_events_lost_total",] == 7


def test_every_code_has_a_series(north: datetime) -> None:
    Crl.objects.filter(issuer=Issuer.objects.get(slug="north-ca")).update(next_update=north)
    found = read(north)
    assert found["gatehouse_findings", "crl-overdue", "critical"] >= 1
    for code, severity in finding_codes().items():
        assert ("gatehouse_findings", code, severity.value) in found


def test_a_minute_passes_before_anything_is_counted_again(north: datetime) -> None:
    assert "north-ca" in render_metrics(now=north).decode()
    Crl.objects.all().delete()
    assert 'gatehouse_crl_entries{issuer="north-ca"' in render_metrics(now=north).decode()


def test_metrics_stand_behind_the_processes_own(client: Client, north: datetime) -> None:
    text = client.get("/metrics").content.decode()
    assert "django_http_requests" in text
    assert 'gatehouse_crl_age_seconds{issuer="north-ca",kind="full"}' in text


def test_who_reaches_one_domain_sees_nothing_of_any(
    client: Client, north: datetime, application_in: Callable[..., NewApplication]
) -> None:
    far: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.1"}
    narrow = client.get("/metrics", headers=bearer(client, application_in()), **far).content.decode()
    assert "django_http_requests" in narrow
    assert "gatehouse_" not in narrow
    whole = client.get("/metrics", headers=bearer(client, application_in(None)), **far).content.decode()
    assert "gatehouse_crl_age_seconds" in whole


def test_reference_lists_every_metric_and_every_code(north: datetime) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/metrics.md").read_text()
    codes = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (critical|error|warning|info) \|", page, re.MULTILINE))
    assert codes == {code: severity.value for code, severity in finding_codes().items()}
    listed = set(re.findall(r"^\| `(gatehouse_\w+)` \|", page, re.MULTILINE))
    assert listed == {name for name, *_ in read(north)}
