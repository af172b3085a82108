"""The findings of every app together: what the API, the screen, the metrics and `doctor` show."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import cast

from django.core.cache import cache

from console.wiring import finding_sources
from kernel.core.findings import Finding, FindingSource, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

log = logging.getLogger(__name__)

UNREADABLE = "findings-unreadable"
REMEMBERED_SECONDS = 30
"""Counts stand on each screen beside the navigation; the list itself is always read anew."""


def open_findings(*, domains: Collection[DomainId] | None, now: datetime) -> list[Finding]:
    """What is the matter in the domains (in all, if None) and with the installation, the worst first."""
    found = [finding for source in finding_sources for finding in _find(source, domains, now)]
    return sorted(found, key=lambda finding: finding.order)


def count_findings(*, domain: DomainId, now: datetime) -> Mapping[Severity, int]:
    """How many there are of each severity, as counted within the last half minute."""

    def count() -> dict[str, int]:
        return Counter(finding.severity.value for finding in open_findings(domains=[domain], now=now))

    kept = cache.get_or_set(f"console.findings:{domain}", count, REMEMBERED_SECONDS)
    counted = cast("Mapping[str, int]", kept)
    return {severity: counted.get(severity.value, 0) for severity in Severity}


def finding_codes() -> Mapping[str, Severity]:
    """Every code that any app may find, and how bad it is."""
    found = {code: severity for source in finding_sources for code, severity in source.codes}
    return {**found, UNREADABLE: Severity.ERROR}


def _find(source: FindingSource, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
    """One app's; if they can not be read, that is the finding, and hides nobody else's."""
    try:
        yield from source.find(domains=domains, now=now)
    except Exception as error:
        name = type(source).__name__
        log.exception("the findings of %s can not be read", name)
        yield Finding(
            code=UNREADABLE,
            severity=Severity.ERROR,
            subject=Subject(kind="console.findings", id=name, label=name),
            domain=None,
            detail=f"What {name} watches could not be read: {type(error).__name__}.",
            remedy="Run `manage.py doctor`, and see the log.",
        )


def by_severity(findings: Sequence[Finding]) -> Mapping[Severity, int]:
    """How many there are of each severity; the worst first, 0 included."""
    counted = Counter(finding.severity for finding in findings)
    return {severity: counted[severity] for severity in Severity}
