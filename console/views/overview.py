"""The overview: real counts, each a link to its list, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from brokers.queries import refusals_in
from console.findings import by_severity, open_findings
from console.views.bars import Column, columns
from console.views.brokers import broker_rows
from console.views.findings import finding_rows, severity_figures
from console.views.frame import Visit, screen, show
from console.views.journal import entry_row
from devices.core.values import DeviceState
from devices.queries import count_by_state
from kernel.core.findings import Finding, Severity
from kernel.queries import list_entries
from pki.core.freshness import CrlFreshness, IssuerFreshness, SignerFreshness
from pki.core.values import CertificateState, CrlKind
from pki.queries import count_ending_by_week, list_freshness

_WIDTH, _HEIGHT = 360, 90
_FINDINGS_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number and the list behind it."""

    state: str
    count: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A column of the histogram and the list of the certificates behind it."""

    column: Column
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessRow:
    """What is published for an issuer in use: of its CRLs the full one, and how many shards there are."""

    slug: str
    crl: CrlFreshness | None
    shards: int
    signer: SignerFreshness | None


@require_safe
@screen("devices:read")
def show_overview(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The domain at a glance."""
    domain = visit.domain.id
    weeks = list(_weeks(visit)) if visit.may("certificates:read") else []
    figures = list(_figures(visit))
    findings = open_findings(domains=[domain], now=visit.now) if visit.may("findings:read") else []
    context = {
        "figures": figures,
        "total": sum(figure.count for figure in figures),
        "may_see_findings": visit.may("findings:read"),
        "severities": severity_figures(by_severity(findings)),
        "findings": finding_rows(_worst(findings), domain=domain),
        "brokers": broker_rows(visit) if visit.may("brokers:read") else [],
        "issuers": list(_freshness(visit)) if visit.may("issuers:read") else [],
        "weeks": weeks,
        "ending": sum(week.column.value for week in weeks),
        "all_ending": _ending(visit.now, visit.now + timedelta(weeks=len(weeks))),
        "width": _WIDTH,
        "height": _HEIGHT,
        "entries": [entry_row(entry) for entry in list_entries(domain=domain, limit=8)]
        if visit.may("journal:read")
        else [],
        "refusals": refusals_in(domains=[domain]) if visit.may("access-log:read") else [],
        "may_enrol": visit.may("enrolment-tokens:write"),
    }
    return show(request, "overview.html", context)


def _figures(visit: Visit) -> Iterator[Figure]:
    counts = count_by_state(domains=[visit.domain.id])
    for state in DeviceState:
        if counts[state] or state is DeviceState.ACTIVE:
            address = f"{reverse('devices')}?state={state.value}"
            yield Figure(state=state.value, count=counts[state], address=address)


def _worst(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is not Severity.INFO][:_FINDINGS_SHOWN]


def _weeks(visit: Visit) -> Iterator[Week]:
    """How many good certificates end in each of the next twelve weeks; the label is the Monday that begins it."""
    counted = count_ending_by_week(domains=[visit.domain.id], now=visit.now)
    drawn = columns([(f"{monday:%-d %b}", count) for monday, count in counted], width=_WIDTH, height=_HEIGHT)
    for column, (monday, _) in zip(drawn, counted, strict=True):
        yield Week(column=column, address=_ending(max(monday, visit.now), monday + timedelta(weeks=1)))


def _ending(begin: datetime, end: datetime) -> str:
    """The list of the good certificates that end in those days."""
    narrowed = {
        "state": CertificateState.ISSUED.value,
        "ends_from": f"{begin:%Y-%m-%d}",
        "ends_before": f"{end:%Y-%m-%d}",
    }
    return f"{reverse('certificates')}?{urlencode(narrowed)}"


def _freshness(visit: Visit) -> Iterator[FreshnessRow]:
    for issuer in list_freshness(domains=[visit.domain.id], now=visit.now):
        if issuer.is_in_use(visit.now):
            yield _row(issuer)


def _row(issuer: IssuerFreshness) -> FreshnessRow:
    full = next((crl for crl in issuer.crls if crl.kind is CrlKind.FULL), None)
    shards = sum(crl.kind is CrlKind.SHARD for crl in issuer.crls)
    return FreshnessRow(slug=issuer.slug, crl=full, shards=shards, signer=issuer.signer)
