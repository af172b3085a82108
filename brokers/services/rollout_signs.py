"""What is seen of a wave: which brokers obey, and how many of its devices are in trouble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from brokers import models, queries
from brokers.core.access.reasons import AccessReason
from brokers.core.rollout_gate import KNOWS_SESSIONS, Hearing, is_in_trouble, unknown_of
from brokers.core.values import AccessKind, Broker, SyncState
from devices.core.rollouts import Measured, Rollout, Split
from devices.core.values import DeviceId
from devices.queries.rollouts import in_present_wave

_KNOWN_DENIALS = timedelta(days=7)
_LOST = (AccessReason.CONNECTION_LOST, AccessReason.KEEPALIVE_EXCEEDED, AccessReason.PROTOCOL_ERROR)
"""Other ends are orderly, not told, or Gatehouse's own doing."""
_NOT_OF_POLICY = [reason for reason in AccessReason if not reason.may_be_policys]


def brokers_of(rollout: Rollout, *, wave: int) -> list[Broker]:
    """The brokers that have to obey before the wave has come: those that hold the policy, by name."""
    held = [each for each in queries.list_brokers(domains=[rollout.domain]) if each.managed_since is not None]
    if rollout.waves.split is not Split.BROKER:
        return held
    return [each for each in held if rollout.waves.wave_of_broker(each.id) == wave]


def obeys(broker: Broker, rollout: Rollout) -> bool:
    """Whether the broker was brought to the rollout's present wave, and stands there."""
    return broker.converged_seq >= rollout.seq and broker.sync is SyncState.IN_SYNC


def minutes_heard(brokers: Collection[Broker]) -> dict[str, int]:
    """For how many minutes each broker was ever heard, by its id."""
    rows = models.HeardDay.objects.filter(broker_id__in=[broker.id for broker in brokers]).order_by()
    return {str(id): total for id, total in rows.values_list("broker_id").annotate(Sum("minutes"))}


def measure_wave(rollout: Rollout, *, now: datetime) -> Measured:
    """What is seen of the present wave since every broker of it obeyed.

    While one is waited for: at those that obey already, since the wave came or as far back as a wave is watched.
    """
    record = rollout.records[-1]
    since = record.obeyed_at or max(record.entered_at, now - rollout.gate.soak)
    brokers = brokers_of(rollout, wave=rollout.wave)
    awaited = [] if record.obeyed_at else [broker for broker in brokers if not obeys(broker, rollout)]
    brokers = [broker for broker in brokers if broker not in awaited]
    seen = Signs(rollout, brokers, since, now)
    before = Signs(rollout, brokers, record.entered_at - (now - since), record.entered_at)
    refusals, refused_before = seen.refusals(), before.refusals()
    losses, lost_before = seen.losses(), before.losses()
    refused = {device for device, count in refusals.items() if is_in_trouble(count, refused_before[device])}
    refused |= seen.newly_denied()
    lost = {device for device, count in losses.items() if is_in_trouble(count, lost_before[device])}
    everybody = in_present_wave(rollout=rollout, devices=seen.devices() | refused)
    minutes = minutes_heard(brokers)
    hearings = [_hearing(rollout, broker, minutes.get(str(broker.id), 0), seen) for broker in brokers]
    unknown = unknown_of(hearings, seen=len(everybody), watched=now - since)
    return Measured(
        seen=len(everybody),
        refused=len(refused & everybody),
        lost=len(lost & everybody),
        unknown=(*(f"{broker.name} has not followed yet." for broker in awaited), *unknown),
    )


def _hearing(rollout: Rollout, broker: Broker, minutes: int, seen: Signs) -> Hearing:
    return Hearing(
        name=broker.name,
        kind=broker.kind,
        minutes=minutes - rollout.heard.get(str(broker.id), 0),
        told=seen.lines.filter(broker_id=broker.id).exists(),
        undecided=seen.lines.filter(broker_id=broker.id, reason=AccessReason.UNDECIDED, device_id=None).exists(),
    )


class Signs:
    """What the access log and the notes of denials tell of some brokers, from one moment (inclusive) until another."""

    def __init__(self, rollout: Rollout, brokers: Collection[Broker], since: datetime, until: datetime) -> None:
        self._brokers = [broker.id for broker in brokers]
        self._know_sessions = [broker.id for broker in brokers if broker.kind in KNOWS_SESSIONS]
        self._since = since
        self.lines: QuerySet[models.AccessEvent] = models.AccessEvent.objects.filter(
            domain_id=rollout.domain, broker_id__in=self._brokers, at__gte=since, at__lt=until
        ).order_by()

    def devices(self) -> set[DeviceId]:
        """Who is connected, and of whom something was told; anybody may be refused by another's name."""
        sessions = models.Session.objects.filter(broker_id__in=self._brokers)
        told = self.lines.exclude(kind=AccessKind.REFUSED)
        found = (rows.values_list("device_id", flat=True).distinct() for rows in (sessions, told))
        return {DeviceId(device) for rows in found for device in rows if device}

    def refusals(self) -> Counter[DeviceId]:
        """How often each device was refused or denied, as far as policy may be why.

        Not while its session was open and stays so, since then somebody else knocked by its name.
        """
        open_then = models.Session.objects.filter(
            broker_id=OuterRef("broker_id"), device_id=OuterRef("device_id"), connected_at__lt=OuterRef("at")
        )
        refused = self.lines.filter(kind__in=[AccessKind.REFUSED, AccessKind.DENIED])
        others = Q(Exists(open_then), kind=AccessKind.REFUSED, broker_id__in=self._know_sessions)
        return _by_device(refused.exclude(reason__in=_NOT_OF_POLICY).exclude(others))

    def losses(self) -> Counter[DeviceId]:
        """How often each device lost its connection."""
        return _by_device(self.lines.filter(kind=AccessKind.DISCONNECTED, reason__in=_LOST))

    def newly_denied(self) -> set[DeviceId]:
        """Devices that are denied from then on what they were not denied in the week before."""
        noted = models.DeniedAttempt.objects.filter(broker_id__in=self._brokers).exclude(reason__in=_NOT_OF_POLICY)
        new = noted.filter(day__gte=self._since.date(), first_at__gte=self._since)
        found = set(new.order_by().values_list("device_id", "action", "topic"))
        week = noted.filter(day__gte=(self._since - _KNOWN_DENIALS).date(), first_at__lt=self._since)
        known = week.filter(device_id__in={device for device, _, _ in found})
        found -= set(known.values_list("device_id", "action", "topic"))
        return {DeviceId(device) for device, _, _ in found}


def _by_device(lines: QuerySet[models.AccessEvent]) -> Counter[DeviceId]:
    rows = lines.filter(device_id__isnull=False).values_list("device_id").annotate(Count("pk"))
    counts: dict[UUID, int] = dict(rows)
    return Counter({DeviceId(device): count for device, count in counts.items()})
