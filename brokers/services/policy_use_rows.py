"""Writing down what of the policy was used and what was denied. Several processes do so at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Model

from acl.core.values import RuleId
from brokers import models
from brokers.core.access.counts import ANYTHING, Counts, Denial, DenialKey, Hearing, HearingKey, Use, UseKey
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import BrokerId
from devices.core.values import DeviceId

MOST_TOPICS_A_DAY = 20
"""Of one device on one broker; what else it is denied counts as one topic, `#`."""
MOST_DENIALS_A_DAY = 20_000
"""Of one broker; others are not written down."""
_MINUTES_OF_A_DAY = 1_440
_AT_ONCE = 500

_Row = TypeVar("_Row", bound=Model)
_Key = TypeVar("_Key", UseKey, DenialKey, HearingKey)
_Count = TypeVar("_Count")


def write_counts(counts: Counts) -> None:
    """Adds the counts to what stands there, in one transaction. Those of brokers that are gone are left out."""
    named = {key.broker for keys in (counts.uses, counts.hearings, counts.denials) for key in keys}
    with transaction.atomic():
        there = set(models.Broker.objects.filter(id__in=named).values_list("id", flat=True))
        for uses in _chunks(counts.uses, there):
            _write_uses(uses)
        for hearings in _chunks(counts.hearings, there):
            _write_hearings(hearings)
        for denials in _chunks(counts.denials, there):
            _write_denials(_within_bounds(denials))


def _write_uses(uses: Mapping[UseKey, Use]) -> None:
    blank = {
        key: models.RuleUse(broker_id=key.broker, rule_id=key.rule, day=key.day, count=0, filters=[]) for key in uses
    }
    rows = _locked(blank, _use_key, **_among(uses), rule_id__in={key.rule for key in uses})
    for key, row in rows.items():
        use = uses[key]
        known = Use(rule_topic=use.rule_topic, count=row.count, filters=frozenset(row.filters))
        known.add(use.filters, count=use.count, device=use.last_device)
        row.count, row.filters = known.count, sorted(known.filters)
        row.last_device_id = known.last_device or row.last_device_id
    models.RuleUse.objects.bulk_update(rows.values(), ["count", "filters", "last_device_id"])


def _use_key(row: models.RuleUse) -> UseKey:
    return UseKey(broker=BrokerId(row.broker_id), rule=RuleId(row.rule_id), day=row.day)


def _write_hearings(hearings: Mapping[HearingKey, Hearing]) -> None:
    blank = {
        key: models.HeardDay(broker_id=key.broker, day=key.day, minutes=0, publishes=0, subscribes=0)
        for key in hearings
    }
    rows = _locked(blank, _hearing_key, **_among(hearings))
    for key, row in rows.items():
        hearing = hearings[key]
        row.minutes = min(_MINUTES_OF_A_DAY, row.minutes + hearing.minutes)
        row.publishes += hearing.publishes
        row.subscribes += hearing.subscribes
        row.lost += hearing.lost
    models.HeardDay.objects.bulk_update(rows.values(), ["minutes", "publishes", "subscribes", "lost"])


def _hearing_key(row: models.HeardDay) -> HearingKey:
    return HearingKey(broker=BrokerId(row.broker_id), day=row.day)


def _write_denials(denials: Mapping[DenialKey, Denial]) -> None:
    if not denials:
        return  # all of them were too many
    blank = {
        key: models.DeniedAttempt(
            broker_id=key.broker,
            device_id=key.device,
            action=key.action,
            topic=key.topic,
            reason=key.reason,
            day=key.day,
            count=0,
            first_at=denial.last_at,
            last_at=denial.last_at,
        )
        for key, denial in denials.items()
    }
    rows = _locked(blank, _denial_key, **_among(denials), device_id__in={key.device for key in denials})
    for key, row in rows.items():
        row.count, row.rule_id = row.count + denials[key].count, denials[key].rule
        row.last_at = max(row.last_at, denials[key].last_at)
    models.DeniedAttempt.objects.bulk_update(rows.values(), ["count", "rule_id", "last_at"])


def _within_bounds(denials: Mapping[DenialKey, Denial]) -> dict[DenialKey, Denial]:
    """The same with topics that are too many for a device put together, and without what is too much for a broker."""
    devices = {key.device for key in denials}
    known = models.DeniedAttempt.objects.filter(**_among(denials), device_id__in=devices)
    there = {_denial_key(row) for row in known}
    topics = Counter((key.broker, key.day, key.device) for key in there)
    total = {
        (broker, day): models.DeniedAttempt.objects.filter(broker_id=broker, day=day).count()
        for broker, day in {(key.broker, key.day) for key in denials}
    }
    kept: dict[DenialKey, Denial] = {}
    for asked, denial in denials.items():
        key = asked
        if key not in there and topics[key.broker, key.day, key.device] >= MOST_TOPICS_A_DAY:
            key = replace(key, topic=ANYTHING)
        if key not in there and key not in kept:
            if total[key.broker, key.day] >= MOST_DENIALS_A_DAY:
                continue
            topics[key.broker, key.day, key.device] += 1
            total[key.broker, key.day] += 1
        kept.setdefault(key, Denial(rule=denial.rule, last_at=denial.last_at)).add(denial.count, denial.last_at)
    return kept


def _denial_key(row: models.DeniedAttempt) -> DenialKey:
    return DenialKey(
        broker=BrokerId(row.broker_id),
        device=DeviceId(row.device_id),
        action=AccessAction(row.action),
        topic=row.topic,
        reason=AccessReason(row.reason),
        day=row.day,
    )


def _locked(blank: Mapping[_Key, _Row], key_of: Callable[[_Row], _Key], **among: Any) -> dict[_Key, _Row]:
    """The rows of those keys, made where they were not there, and nobody else's until the transaction ends."""
    rows = next(iter(blank.values()))._meta.default_manager  # noqa: SLF001 - Django documents it
    assert rows is not None
    rows.bulk_create(blank.values(), ignore_conflicts=True)
    found = rows.select_for_update().filter(**among).order_by("id")
    return {key_of(row): row for row in found if key_of(row) in blank}


def _among(keys: Collection[UseKey | DenialKey | HearingKey]) -> dict[str, Any]:
    return {"broker_id__in": {key.broker for key in keys}, "day__in": {key.day for key in keys}}


def _chunks(counts: Mapping[_Key, _Count], there: Collection[UUID]) -> Iterator[dict[_Key, _Count]]:
    """Some at a time, in an order that is the same in each process, so that none waits for another in a ring."""
    left = iter(sorted(key for key in counts if key.broker in there))
    while some := list(islice(left, _AT_ONCE)):
        yield {key: counts[key] for key in some}
