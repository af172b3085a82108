"""Findings: what needs attention, how bad it is, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.findings import by_severity, open_findings
from console.views.frame import Visit, screen, show
from console.views.links import subject_address
from console.views.paging import DamagedPlace, Place, place_of
from devices.core.values import DeviceId
from devices.queries import device_names
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

_HOLDER = re.compile(r"\b(?:device|application):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeverityFigure:
    """How many findings of a severity there are, and where they stand. `here`: the list is narrowed to it."""

    severity: Severity
    count: int
    address: str
    here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A finding for people: holders by their names. `address` is the page of what it is about, if it has one."""

    finding: Finding
    address: str
    label: str
    detail: str


def severity_figures(counts: Mapping[Severity, int], *, chosen: str = "") -> list[SeverityFigure]:
    """A figure for each severity, the worst first."""
    return [
        SeverityFigure(
            severity=severity,
            count=count,
            address=f"{reverse('findings')}?severity={severity.value}",
            here=severity.value == chosen,
        )
        for severity, count in counts.items()
    ]


def finding_rows(findings: Sequence[Finding], *, domain: DomainId) -> list[FindingRow]:
    """The findings of one page, by one query for the names in them."""
    ids = {DeviceId(UUID(id)) for finding in findings for id in _HOLDER.findall(finding.detail)}
    names = device_names(devices=ids, domains=[domain]) if ids else {}

    def name_of(match: re.Match[str]) -> str:
        return names.get(DeviceId(UUID(match[1])), match[0])

    return [
        FindingRow(
            finding=finding,
            address=_address(finding.subject),
            label=_label(finding.subject),
            detail=_HOLDER.sub(name_of, finding.detail),
        )
        for finding in findings
    ]


def _address(subject: Subject) -> str:
    """The page of what is the matter; that of a request exists as long as the finding does."""
    requests = {"pki.issuer_request": "issuer-request", "pki.signing_request": "issuer-sign"}
    name = requests.get(subject.kind)
    return reverse(name, args=[subject.label]) if name else subject_address(subject)


def _label(subject: Subject) -> str:
    if subject.kind == "pki.certificate" and subject.label:
        return f"Certificate {subject.label[:12]}…"
    return subject.label


@require_safe
@screen("findings:read")
def list_findings(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """What is the matter in the domain and with the installation, the worst first."""
    place = place_of(request, "severity", "code")
    severity, code = place.filters["severity"], place.filters["code"]
    every = open_findings(domains=[visit.domain.id], now=visit.now)
    fitting = [each for each in every if severity in {"", each.severity.value} and code in {"", each.code}]
    found = _behind(fitting, place)
    shown = found[: place.size]
    more = list(shown[-1].order) if len(found) > place.size else None
    context = {
        "rows": finding_rows(shown, domain=visit.domain.id),
        "figures": severity_figures(by_severity(every), chosen=severity),
        "narrowed": bool(severity or code),
        "pager": place.pager(shown=len(shown), next_key=more, noun="findings", about=len(fitting)),
    }
    return show(request, "findings.html", context)


def _behind(findings: Sequence[Finding], place: Place) -> Sequence[Finding]:
    match place.key:
        case None:
            return findings
        case [int(rank), str(code), str(id)]:
            return [finding for finding in findings if finding.order > (rank, code, id)]
    raise DamagedPlace
