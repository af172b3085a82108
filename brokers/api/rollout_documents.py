"""Rollouts as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers

from brokers.services.rollout_progress import WaveProgress, WaveState, progress_of
from devices.core.rollouts import Gate, Reaction, Rollout, RolloutState, Split
from kernel.api.documents import StrictDocument
from kernel.core.clock import to_rfc3339

_STANDARD = Gate().as_kept()


class NewRolloutDocument(StrictDocument):
    """A rollout to begin. `waves`: lists of names of brokers or groups, or percentages of the fleet so far.

    Everybody else comes in one more wave, the last.
    """

    change = serializers.UUIDField()
    by = serializers.ChoiceField(choices=[*Split])
    waves = serializers.ListField(min_length=1, help_text='[1, 10, 50], or [["pilot"], ["north", "south"]].')
    soak_seconds = serializers.IntegerField(default=_STANDARD["soak_seconds"], min_value=0, max_value=30 * 86_400)
    refused_percent = serializers.IntegerField(default=_STANDARD["refused_percent"], min_value=0, max_value=100)
    lost_percent = serializers.IntegerField(default=_STANDARD["lost_percent"], min_value=0, max_value=100)
    on_trouble = serializers.ChoiceField(
        choices=[Reaction.PAUSE.value, Reaction.ROLL_BACK.value], default=_STANDARD["on_trouble"]
    )
    on_unknown = serializers.ChoiceField(choices=[*Reaction], default=_STANDARD["on_unknown"])

    def validate_waves(self, waves: list[Any]) -> list[list[str]]:
        """Names, or one percentage, in each."""
        if all(isinstance(wave, int) and not isinstance(wave, bool) for wave in waves):
            return [[str(wave)] for wave in waves]
        if all(isinstance(wave, list) and all(isinstance(name, str) for name in wave) for wave in waves):
            return waves
        raise serializers.ValidationError("Waves are all numbers, or all lists of names.")


class BrokerProgressDocument(serializers.Serializer[Any]):
    """A broker that the present wave waits for, or that obeys."""

    name = serializers.CharField()
    obeys = serializers.BooleanField()
    detail = serializers.CharField(allow_blank=True)


class WaveDocument(serializers.Serializer[Any]):
    """A wave; `names` is empty for the last. Counts are of devices that were seen, `unknown` what nobody can know."""

    number = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=[*WaveState])
    entered_at = serializers.DateTimeField(allow_null=True)
    obeyed_at = serializers.DateTimeField(allow_null=True)
    watched_until = serializers.DateTimeField(allow_null=True)
    seen = serializers.IntegerField(allow_null=True)
    refused = serializers.IntegerField(allow_null=True)
    lost = serializers.IntegerField(allow_null=True)
    unknown = serializers.ListField(child=serializers.CharField())
    brokers = BrokerProgressDocument(many=True)


class RolloutSummaryDocument(serializers.Serializer[Any]):
    """A rollout in a list. `wave` of `of` waves has come."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    change = serializers.UUIDField()
    number = serializers.IntegerField()
    title = serializers.CharField()
    by = serializers.ChoiceField(choices=[*Split])
    state = serializers.ChoiceField(choices=[*RolloutState])
    version = serializers.IntegerField()
    wave = serializers.IntegerField()
    of = serializers.IntegerField()
    note = serializers.CharField(allow_blank=True)
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class RolloutDocument(RolloutSummaryDocument):
    """A rollout with what stops it, and each of its waves."""

    soak_seconds = serializers.IntegerField()
    refused_percent = serializers.IntegerField()
    lost_percent = serializers.IntegerField()
    on_trouble = serializers.CharField()
    on_unknown = serializers.CharField()
    waves = WaveDocument(many=True)


class RolloutListDocument(serializers.Serializer[Any]):
    """A page of rollouts, newest first."""

    results = RolloutSummaryDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


def gate_of(body: Mapping[str, Any]) -> Gate:
    """The gate that a validated body says. Raises BadGate."""
    return Gate(
        soak=timedelta(seconds=body["soak_seconds"]),
        refused=body["refused_percent"],
        lost=body["lost_percent"],
        on_trouble=Reaction(body["on_trouble"]),
        on_unknown=Reaction(body["on_unknown"]),
    )


def rollout_row_document(rollout: Rollout) -> dict[str, Any]:
    """The rollout in a list."""
    return {
        "id": str(rollout.id),
        "domain": rollout.domain_slug,
        "change": str(rollout.change),
        "number": rollout.number,
        "title": rollout.title,
        "by": rollout.waves.split.value,
        "state": rollout.state.value,
        "version": rollout.version,
        "wave": rollout.wave + 1,
        "of": rollout.waves.last + 1,
        "note": rollout.note,
        "started_at": to_rfc3339(rollout.started_at),
        "ended_at": _time(rollout.ended_at),
    }


def rollout_document(rollout: Rollout) -> dict[str, Any]:
    """The rollout as JSON."""
    return {
        **rollout_row_document(rollout),
        **rollout.gate.as_kept(),
        "waves": [_wave(wave) for wave in progress_of(rollout)],
    }


def _wave(wave: WaveProgress) -> dict[str, Any]:
    record = wave.record
    measured = record.measured if record else None
    return {
        "number": wave.number,
        "names": list(wave.names),
        "state": wave.state.value,
        "entered_at": to_rfc3339(record.entered_at) if record else None,
        "obeyed_at": _time(record.obeyed_at) if record else None,
        "watched_until": _time(wave.watched_until),
        "seen": measured.seen if measured else None,
        "refused": measured.refused if measured else None,
        "lost": measured.lost if measured else None,
        "unknown": list(measured.unknown) if measured else [],
        "brokers": [{"name": each.name, "obeys": each.obeys, "detail": each.detail} for each in wave.brokers],
    }


def _time(at: datetime | None) -> str | None:
    return to_rfc3339(at) if at else None
