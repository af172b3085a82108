"""Which rule it was by which a broker let somebody or did not, where the broker tells only that it did."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from acl.core.evaluation import evaluate
from acl.core.values import Allow, Deny, DenyReason, Publish, Subscribe, Verdict
from brokers import models
from brokers.core.access.kept_events import LONGEST_TOPIC
from brokers.core.access.reasons import AccessAction
from brokers.core.values import AccessKind, BrokerId
from brokers.services.policy_use import note
from devices import queries as devices
from devices.core.values import DeviceId, DeviceSubject
from kernel.core.clock import utc_now

_FRESH_SECONDS = 10.0
_MOST_KEPT = 20_000

_kept: dict[tuple[BrokerId, DeviceId], tuple[float, DeviceSubject]] = {}


def note_told(*, broker: BrokerId, lines: Sequence[models.AccessEvent]) -> None:
    """Notes what the lines tell of publishes and subscriptions of known principals; judged by the policy of about now.

    What the broker allowed although the policy would not, or denied although it would, has no rule: the first is not
    noted, the second as denied.
    """
    told = [line for line in lines if _tells_of_use(line)]
    subjects = _subjects(broker, {DeviceId(line.device_id) for line in told if line.device_id})
    for line in told:
        subject = subjects.get(DeviceId(line.device_id)) if line.device_id else None
        if subject is None:
            continue
        request = _request(line)
        verdict: Verdict = evaluate(subject.policy, subject.principal, request)
        allowed = line.kind == AccessKind.ALLOWED
        if allowed and isinstance(verdict, Deny):
            continue
        if not allowed and isinstance(verdict, Allow):
            verdict = Deny(reason=DenyReason.NO_RULE)
        note(broker=broker, principal=subject.principal, request=request, verdict=verdict, now=line.at)


def _tells_of_use(line: models.AccessEvent) -> bool:
    return (
        line.kind in {AccessKind.ALLOWED, AccessKind.DENIED}
        and line.action in {AccessAction.PUBLISH, AccessAction.SUBSCRIBE}
        and len(line.topic) < LONGEST_TOPIC
    )


def _request(line: models.AccessEvent) -> Publish | Subscribe:
    if line.action == AccessAction.PUBLISH:
        return Publish(topic=line.topic, qos=line.qos or 0)
    return Subscribe.parse(line.topic, qos=line.qos or 0)


def _subjects(broker: BrokerId, wanted: Collection[DeviceId]) -> dict[DeviceId, DeviceSubject]:
    """The principals with their policy, as read within the last ten seconds."""
    now = time.monotonic()
    kept = {id: _kept.get((broker, id), (0.0, None)) for id in wanted}
    found = {id: subject for id, (until, subject) in kept.items() if subject is not None and until >= now}
    stale = set(wanted) - found.keys()
    if len(_kept) + len(stale) > _MOST_KEPT:
        _kept.clear()
    for subject in devices.subjects_among(devices=stale, broker=broker, now=utc_now()) if stale else ():
        found[subject.device.id] = subject
        _kept[broker, subject.device.id] = (now + _FRESH_SECONDS, subject)
    return found
