"""Looking at the listeners of a broker from outside, and keeping what was seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from brokers import models, queries
from brokers.adapters.listener_probe import observe
from brokers.core.listener_probe import ListenerReport, judge, read_report, report_document
from brokers.core.values import Broker, BrokerId, Listener
from brokers.services.listener_profiles import listener_profile_of
from pki import queries as pki

_AT_ONCE = 20
"""As many as a broker may have listeners."""
TIMEOUT_SECONDS = 3.0
"""For making a connection, and again for what is said on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was seen of each listener, and when; listeners that the broker has got since are not in it."""

    at: datetime
    reports: tuple[ListenerReport, ...]


def probe_listeners(*, broker: BrokerId, now: datetime) -> Probe:
    """Contacts each registered listener, and no other address, for a minute at most; what was seen is kept.

    Not to be called in a transaction. Raises BrokerNotFound.
    """
    found = queries.get_broker(id=broker)
    profile, trust = listener_profile_of(broker=found).profile, pki.trust_bundle(domain=found.domain)

    def look(listener: Listener) -> ListenerReport:
        seen = observe(listener, trust_pem=trust, path=profile.websocket_path, timeout=TIMEOUT_SECONDS)
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
    places = {(listener.host, listener.port) for listener in broker.listeners}
    reports = tuple(read_report(document) for document in row.probe or [])
    return Probe(at=row.probed_at, reports=tuple(each for each in reports if (each.host, each.port) in places))


def _keep(broker: Broker, probe: Probe) -> None:
    """Keeps it, unless the broker was removed meanwhile."""
    kept = {"probe": [report_document(report) for report in probe.reports], "probed_at": probe.at}
    with transaction.atomic():
        row = models.Broker.objects.select_for_update().filter(id=broker.id).first()
        if row is not None:
            models.Listening.objects.update_or_create(broker=row, defaults=kept)
