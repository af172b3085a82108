"""The findings on how brokers listen and are managed: what the last probe saw, and certificates that end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from brokers import queries
from brokers.core.listeners.probe import Aspect
from brokers.core.values import Broker
from brokers.services.certify_server import server_chain_of
from brokers.services.probing import last_probe_of
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

_CODES: Mapping[str, Severity] = {
    "listener-admits-anybody": Severity.CRITICAL,
    "broker-certificate-ended": Severity.CRITICAL,
    "broker-management-open": Severity.CRITICAL,
    "listener-unsafe": Severity.ERROR,
    "broker-unsafe": Severity.ERROR,
    "listener-does-not-answer": Severity.WARNING,
    "broker-certificate-ends": Severity.WARNING,
    "broker-certificate-lacks-name": Severity.WARNING,
    "broker-key-may-more": Severity.WARNING,
}
_OF_ASPECT: Mapping[Aspect, str] = {
    Aspect.ANONYMOUS: "listener-admits-anybody",
    Aspect.REACHABLE: "listener-does-not-answer",
    Aspect.MANAGEMENT: "broker-management-open",
    Aspect.DEFAULT_LOGIN: "broker-management-open",
    Aspect.KEY_RIGHTS: "broker-key-may-more",
}
_SELF = "Change the broker's own configuration as it says, and compare the broker with the policy again."
_LEFT = 6
"""A certificate is told of when less than this part of its life is left; by itself one is renewed at a third."""
_FORGOTTEN_AFTER = timedelta(days=30)
"""A certificate that ended so long ago was given up."""


class ListeningFindings:
    """What needs attention about listeners and the certificates that brokers show."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return _CODES.items()

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """What is the matter now."""
        for broker in queries.list_brokers(domains=None if domains is None else list(domains)):
            yield from _certificate(broker, now=now)
            yield from _seen(broker)
            if broker.notes:
                yield _finding("broker-unsafe", broker, " ".join(broker.notes)[:500], _SELF)


def _certificate(broker: Broker, *, now: datetime) -> Iterator[Finding]:
    chain = server_chain_of(broker=broker, now=now)
    if chain is None or chain.certificate.not_after < now - _FORGOTTEN_AFTER:
        return
    issued, remedy = chain.certificate, "Make a request beside the broker, send it, and install what comes back."
    life, left = issued.not_after - issued.not_before, issued.not_after - now
    if left <= timedelta(0):
        yield _finding("broker-certificate-ended", broker, "Its certificate has ended: devices refuse it.", remedy)
    elif left < life / _LEFT:
        detail = f"Its certificate ends in {left.days} day{'' if left.days == 1 else 's'}."
        yield _finding("broker-certificate-ends", broker, detail, remedy, since=issued.not_after - life / _LEFT)
    if chain.missing:
        detail = f"Its certificate does not name {', '.join(chain.missing)[:200]}, where devices connect."
        yield _finding("broker-certificate-lacks-name", broker, detail, remedy)


def _seen(broker: Broker) -> Iterator[Finding]:
    """One finding of a code at most, on all listeners of the broker."""
    probe = last_probe_of(broker=broker)
    told: dict[str, list[tuple[str, str]]] = {}
    for report in probe.reports if probe else ():
        for line in report.worst():
            code = _OF_ASPECT.get(line.aspect, "listener-unsafe")
            told.setdefault(code, []).append((f"{report.host}:{report.port}: {line.seen}", line.remedy))
    for code, lines in told.items():
        detail = " ".join(words for words, _ in lines)[:500]
        yield _finding(code, broker, detail, lines[0][1], since=probe.at if probe else None)


def _finding(code: str, broker: Broker, detail: str, remedy: str, *, since: datetime | None = None) -> Finding:
    return Finding(
        code=code,
        severity=_CODES[code],
        subject=Subject(kind="brokers.broker", id=str(broker.id), label=broker.name),
        domain=broker.domain,
        detail=detail,
        remedy=remedy,
        since=since,
    )
