"""Looking at the listeners of a broker from outside, and keeping what was seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from brokers import models, queries
from brokers.adapters.listener_probe import observe
from brokers.core.listeners.probe import ListenerReport, judge, read_report, report_document
from brokers.core.values import Broker, BrokerId, Listener
from brokers.services.listener_profiles import listener_profile_of
from kernel.core.actor import Actor
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import Subject
from kernel.queries import open_operation
from kernel.services import record
from pki import queries as pki

_AT_ONCE = 20
"""As many as a broker may have listeners."""
TIMEOUT_SECONDS = 3.0
"""For making a connection, and again for what is said on it."""
SECONDS_IN_ALL = 20.0
"""For all connections to one listener; all listeners are looked at at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was seen of each listener, and when; listeners that the broker has got since are not in it."""

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
    """Contacts each registered listener, and no other address, for half a minute at most; what was seen is kept.

    Not to be called in a transaction. Raises BrokerNotFound.
    """
    found = queries.get_broker(id=broker)
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

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        probe = Probe(at=now, reports=tuple(pool.map(look, found.listeners)))
    _keep(found, probe)
    return probe


def last_probe_of(*, broker: Broker) -> Probe | None:
    """What the last probe saw of the listeners that the broker still has; None if nobody looked yet."""
    row = models.Listening.objects.filter(broker_id=broker.id).exclude(probed_at=None).first()
    if row is None or row.probed_at is None:
        return None
    reports = tuple(read_report(document) for document in row.probe or [])
    held = set(broker.listeners)
    kept = tuple(each for each in reports if Listener(host=each.host, port=each.port, transport=each.transport) in held)
    return Probe(at=row.probed_at, reports=kept)


def _keep(broker: Broker, probe: Probe) -> None:
    """Keeps it, unless the broker was removed meanwhile."""
    kept = {"probe": [report_document(report) for report in probe.reports], "probed_at": probe.at}
    with transaction.atomic():
        row = models.Broker.objects.select_for_update().filter(id=broker.id).first()
        if row is not None:
            models.Listening.objects.update_or_create(broker=row, defaults=kept)
