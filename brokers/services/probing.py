"""Looking at the listeners of a broker from outside, and at how it is managed, and keeping what was seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from brokers import models, queries
from brokers.adapters.listener_probe import observe
from brokers.adapters.management_probe import ask
from brokers.core.listeners import management
from brokers.core.listeners.probe import ListenerReport, judge, read_report, report_document, with_what_was_bad
from brokers.core.values import Broker, BrokerId, BrokerLink, Listener
from brokers.services.listener_profiles import listener_profile_of
from kernel.core.actor import Actor
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import Subject
from kernel.queries import open_operation
from kernel.services import record
from pki import queries as pki

_AT_ONCE = 21
"""As many as a broker may have listeners, and the port by which it is managed."""
TIMEOUT_SECONDS = 3.0
"""For making a connection, and again for what is said on it."""
SECONDS_IN_ALL = 20.0
"""For all connections to one listener; all listeners are looked at at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was seen of each listener, and of how it is managed, and when; what it has got since is not in it."""

    at: datetime
    reports: tuple[ListenerReport, ...]

    @property
    def to_mend(self) -> int:
        """How many lines are bad."""
        return sum(len(report.worst()) for report in self.reports)


def order_probe(*, broker: BrokerId, actor: Actor, now: datetime) -> EntryId:
    """The operation that looks at the listeners; the one that is under way, if there is one. Raises BrokerNotFound."""
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        under_way = probe_under_way(broker=broker)
        if under_way is not None:
            return under_way
        entry = record(
            action="brokers.probe.ordered",
            subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
            actor=actor,
            now=now,
            domain=DomainId(row.domain_id),
        )
    return entry.id


def probe_under_way(*, broker: BrokerId) -> EntryId | None:
    """The operation that was ordered and is not over, or None."""
    return open_operation(order_key=f"probe:{broker}")


def probe_listeners(*, broker: BrokerId, now: datetime) -> Probe:
    """Contacts each registered listener, and where the broker is managed, for half a minute at most, and nobody else.

    What was seen is kept, and what was bad before stays bad where it could not be seen. A password is not tried again
    within five minutes of being refused.
    Not to be called in a transaction. Raises BrokerNotFound.
    """
    link = queries.link_to(broker=broker)
    found = link.broker
    profile, trust = listener_profile_of(broker=found).profile, pki.trust_bundle(domain=found.domain)

    def look(listener: Listener) -> ListenerReport:
        seen = observe(
            listener,
            trust_pem=trust,
            path=profile.websocket_path,
            timeout=TIMEOUT_SECONDS,
            in_all=SECONDS_IN_ALL,
        )
        return judge(listener, seen, profile=profile, now=now)

    before = last_probe_of(broker=found)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        managed = pool.submit(_look_at_management, link, before, now=now)
        reports = tuple(pool.map(look, found.listeners))
        probe = Probe(at=now, reports=(*reports, *managed.result()))
    return _keep(found, probe)


def last_probe_of(*, broker: Broker) -> Probe | None:
    """What the last probe saw of the listeners, and the way to manage it, that the broker still has.

    None if nobody looked yet.
    """
    row = models.Listening.objects.filter(broker_id=broker.id).exclude(probed_at=None).first()
    if row is None or row.probed_at is None:
        return None
    reports = tuple(read_report(document) for document in row.probe or [])
    held = {(each.host, each.port, each.transport.value) for each in broker.listeners}
    if any(each.transport in management.SCHEMES for each in reports):
        place = management.place_of(broker.kind, queries.link_to(broker=broker.id).connection)
        held |= {(place.host, place.port, place.scheme)} if place else set()
    kept = tuple(each for each in reports if _place_of(each) in held)
    return Probe(at=row.probed_at, reports=kept)


def _look_at_management(link: BrokerLink, before: Probe | None, *, now: datetime) -> tuple[ListenerReport, ...]:
    """The report on it; none where there is nothing to ask."""
    place = management.place_of(link.broker.kind, link.connection)
    if place is None:
        return ()
    lately = before.reports if before is not None and now - before.at < management.AGAIN_AFTER else ()
    known = management.refused_logins(line for report in lately for line in report.lines)
    lines = tuple(
        known.get(question.aspect) or management.judge_answer(question, ask(place, question, timeout=TIMEOUT_SECONDS))
        for question in management.questions(link.broker.kind, place, link.connection, version=link.broker.version)
    )
    return (ListenerReport(host=place.host, port=place.port, transport=place.scheme, lines=lines),)


def _keep(broker: Broker, probe: Probe) -> Probe:
    """Keeps it, unless the broker was removed meanwhile, with what was bad before and could not be seen now."""
    with transaction.atomic():
        row = models.Broker.objects.select_for_update().filter(id=broker.id).first()
        if row is None:
            return probe
        before = last_probe_of(broker=broker)
        known = {_place_of(report): report for report in before.reports} if before else {}
        reports = tuple(with_what_was_bad(each, known.get(_place_of(each), each)) for each in probe.reports)
        kept = {"probe": [report_document(report) for report in reports], "probed_at": probe.at}
        models.Listening.objects.update_or_create(broker=row, defaults=kept)
    return replace(probe, reports=reports)


def _place_of(report: ListenerReport) -> tuple[str, int, str]:
    return report.host, report.port, report.transport
