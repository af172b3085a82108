"""Gatehouse's own metrics, worked out when they are asked for and remembered for a minute, in all processes together.

Names and units by Prometheus' conventions: base units, a moment as the seconds of its Unix time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import cast

from django.core.cache import cache
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from brokers import queries as brokers
from console.findings import finding_codes, open_findings
from pki import queries as pki
from pki.core.freshness import IssuerFreshness

REMEMBERED_SECONDS = 60
_KEY = "console.metrics"


def render_metrics(*, now: datetime) -> bytes:
    """The metrics of this installation in Prometheus' text format, at most a minute old."""

    def render() -> bytes:
        registry = CollectorRegistry()
        registry.register(_Gatehouse(now))
        return generate_latest(registry)

    return cast("bytes", cache.get_or_set(_KEY, render, REMEMBERED_SECONDS))


class _Gatehouse(Collector):
    """What is so at one moment."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not count everything once."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        issuers = pki.list_freshness(domains=None, now=self._now)
        in_use = [issuer for issuer in issuers if issuer.is_in_use(self._now)]
        yield from _of_crls(in_use, now=self._now)
        yield from _of_ends(issuers, in_use)
        yield from _of_certificates(self._now)
        yield _of_findings(self._now)
        yield _of_lost_events()


def _of_crls(issuers: Iterable[IssuerFreshness], *, now: datetime) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "gatehouse_crl_age_seconds", "Time since the newest CRL's thisUpdate.", labels=["issuer", "kind"]
    )
    ends = GaugeMetricFamily(
        "gatehouse_crl_next_update_timestamp_seconds", "The newest CRL's nextUpdate.", labels=["issuer", "kind"]
    )
    entries = GaugeMetricFamily("gatehouse_crl_entries", "Entries of the newest CRL.", labels=["issuer", "kind"])
    for issuer in issuers:
        for kind in sorted({crl.kind for crl in issuer.crls}):
            crls = [crl for crl in issuer.crls if crl.kind is kind]  # of shards, the one that is worst off
            labels = [issuer.slug, kind.value]
            age.add_metric(labels, max((now - crl.this_update).total_seconds() for crl in crls))
            ends.add_metric(labels, min(crl.next_update for crl in crls).timestamp())
            entries.add_metric(labels, sum(crl.entries for crl in crls))
    yield from (age, ends, entries)


def _of_ends(issuers: Iterable[IssuerFreshness], in_use: Iterable[IssuerFreshness]) -> Iterator[Metric]:
    issuer_ends = GaugeMetricFamily(
        "gatehouse_issuer_not_after_timestamp_seconds",
        "When the issuer's certificate ends.",
        labels=["issuer", "state"],
    )
    signer_ends = GaugeMetricFamily(
        "gatehouse_ocsp_signer_not_after_timestamp_seconds",
        "When the certificate of the issuer's newest OCSP signer ends.",
        labels=["issuer"],
    )
    for issuer in issuers:
        issuer_ends.add_metric([issuer.slug, issuer.state.value], issuer.not_after.timestamp())
    for issuer in in_use:
        if issuer.signer is not None:
            signer_ends.add_metric([issuer.slug], issuer.signer.not_after.timestamp())
    yield from (issuer_ends, signer_ends)


def _of_certificates(now: datetime) -> Iterator[Metric]:
    states = GaugeMetricFamily("gatehouse_certificates", "Certificates by state.", labels=["state"])
    for state, count in pki.count_by_state(now=now).items():
        states.add_metric([state], count)
    ending = GaugeMetricFamily(
        "gatehouse_certificates_ending",
        "Good certificates that end in this week (0), the next (1) and so on; weeks begin on Monday, UTC.",
        labels=["week"],
    )
    for week, (_, count) in enumerate(pki.count_ending_by_week(domains=None, now=now)):
        ending.add_metric([str(week)], count)
    yield from (states, ending)


def _of_findings(now: datetime) -> Metric:
    """Every code, 0 included, so that an alert sees a change and not a series that begins."""
    family = GaugeMetricFamily("gatehouse_findings", "Open findings.", labels=["severity", "code"])
    counted = Counter(finding.code for finding in open_findings(domains=None, now=now))
    for code, severity in sorted(finding_codes().items()):
        family.add_metric([severity.value, code], counted[code])
    return family


def _of_lost_events() -> Metric:
    return CounterMetricFamily(
        "gatehouse_access_events_lost",
        "What brokers told and could not be written down; the log of the process says of which.",
        value=brokers.count_lost_events(),
    )
