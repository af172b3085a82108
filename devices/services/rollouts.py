"""Letting a change come in waves: started, advanced, paused, resumed, and rolled back.

Rows are locked in one order: domain, change, rollout, what the change names, journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from devices.core.policy_changes import ChangeState, PolicyChangeId
from devices.core.policy_document import differences
from devices.core.rollouts import (
    UNDER_WAY,
    Gate,
    Measured,
    Rollout,
    RolloutId,
    RolloutState,
    Split,
    Waves,
    bad_waves,
)
from devices.models import Group
from devices.models import PolicyChange as ChangeRow
from devices.models import Rollout as Row
from devices.queries.rollouts import missing_rollout
from devices.services.policy_changes.applying import check_approvals, write_change
from devices.services.policy_changes.approving import check_base
from devices.services.policy_changes.rows import locked_change, save_change
from devices.services.policy_gate import check_rollout, lock_policy
from kernel.core.actor import Actor
from kernel.core.clock import to_rfc3339
from kernel.core.errors import Conflict, Superseded
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Entry, Subject, require_storable
from kernel.services import record

_WATCH = timedelta(minutes=1)


class RolloutMoved(Superseded):
    """Something was done to the rollout since it was read."""

    code = "version-mismatch"


class WrongRolloutState(Conflict):
    """What is asked for can not be done to a rollout in this state."""

    code = "rollout-state"


class NotInWaves(Conflict):
    """The change can be applied at once only."""

    code = "not-in-waves"


def start_rollout(
    *,
    change: PolicyChangeId,
    waves: Waves,
    gate: Gate,
    expected_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> Rollout:
    """The rollout of the approved change; its first wave has come, and the brokers follow.

    Raises PolicyChangeNotFound, ChangeMoved, WrongChangeState, RolloutUnderWay, ApprovalsMissing, BaseMoved,
    NothingToChange, NotInWaves, Unstorable, and BadWaves for a group that is not there.
    """
    require_storable(waves.parts)
    with transaction.atomic():
        changed, rule = locked_change(change, expected_version=expected_version, among={ChangeState.APPROVED})
        value = changed.as_value()
        check_rollout(value.domain, change=None)
        check_approvals(rule, value)
        check_base(value)
        difference = differences(value.base, value.document)
        timed = (*difference.bindings_added, *(each.after for each in difference.bindings_changed))
        if any(binding.window.boundaries_after(now) for binding in timed):
            raise NotInWaves(
                f"Change {value.number} gives a role for a limited time, which would pass while it comes in waves: "
                "apply it at once."
            )
        _check_groups(value.domain, waves)
        changed.state = ChangeState.ROLLING_OUT
        save_change(changed, now=now)
        row = Row(
            id=new_id(),
            domain=changed.domain,
            change=changed,
            split=waves.split,
            parts=waves.parts,
            gate=gate.as_kept(),
            version=0,
            records=[_entered(now)],
            started_at=now,
        )
        _tell_brokers("devices.rollout.started", row, actor=actor, now=now, more={"gate": row.gate, "waves": row.parts})
    return row.as_value()


def advance_rollout(
    *, rollout: RolloutId, expected_version: int | None = None, note: str = "", actor: Actor, now: datetime
) -> Rollout:
    """The rollout with its next wave, whether or not the present one was found good; behind the last it is done.

    Whoever approved the change has to be one who may approve still, at each wave as at the first.
    Raises RolloutNotFound, RolloutMoved, WrongRolloutState, ApprovalsMissing, TargetGone, Unstorable.
    """
    with transaction.atomic():
        row = _locked(rollout, expected_version, among=UNDER_WAY)
        change = _locked_change(row)
        check_approvals(lock_policy(DomainId(row.domain_id)), change.as_value())
        row.note = note
        if row.as_value().is_in_last_wave:
            write_change(change, actor=actor, now=now)
            row.state, row.ended_at = RolloutState.DONE, now
            _save(row)
            _record("devices.rollout.finished", row, actor=actor, now=now)
        else:
            row.wave, row.state = row.wave + 1, RolloutState.RUNNING
            row.records, row.heard = [*row.records, _entered(now)], {}
            _tell_brokers("devices.rollout.advanced", row, actor=actor, now=now)
    return row.as_value()


def pause_rollout(
    *, rollout: RolloutId, expected_version: int | None = None, note: str = "", actor: Actor, now: datetime
) -> Rollout:
    """The rollout, which stays where it is until it is resumed, advanced or rolled back.

    Raises RolloutNotFound, RolloutMoved, WrongRolloutState, Unstorable.
    """
    with transaction.atomic():
        row = _locked(rollout, expected_version, among=UNDER_WAY)
        if row.state == RolloutState.RUNNING:
            row.state, row.note = RolloutState.PAUSED, note
            _save(row)
            _record("devices.rollout.paused", row, actor=actor, now=now)
    return row.as_value()


def resume_rollout(*, rollout: RolloutId, expected_version: int | None = None, actor: Actor, now: datetime) -> Rollout:
    """The rollout, which watches its present wave anew from now on. Raises as `pause_rollout` does."""
    with transaction.atomic():
        row = _locked(rollout, expected_version, among=UNDER_WAY)
        if row.state == RolloutState.PAUSED:
            row.state, row.note = RolloutState.RUNNING, ""
            row.records, row.heard = [*row.records[:-1], _entered(now)], {}
            _save(row)
            _record("devices.rollout.resumed", row, actor=actor, now=now)
    return row.as_value()


def roll_back_rollout(
    *, rollout: RolloutId, expected_version: int | None = None, note: str = "", actor: Actor, now: datetime
) -> Rollout:
    """The rollout, over: the policy before it holds for everybody, and the change is a draft that nobody approved.

    Raises RolloutNotFound, RolloutMoved, WrongRolloutState, Unstorable.
    """
    with transaction.atomic():
        row = _locked(rollout, expected_version, among={*UNDER_WAY, RolloutState.ROLLED_BACK})
        if row.state in UNDER_WAY:
            change = _locked_change(row)
            change.state, change.approvals = ChangeState.DRAFT, []
            save_change(change, now=now)
            row.state, row.ended_at, row.note = RolloutState.ROLLED_BACK, now, note
            _tell_brokers("devices.rollout.rolled_back", row, actor=actor, now=now)
    return row.as_value()


@contextmanager
def watching(*, rollout: RolloutId, now: datetime) -> Iterator[bool]:
    """Whether the rollout is the caller's to watch: nobody else's meanwhile, for a minute at most.

    Who takes longer, or dies, is followed by another; whoever acts first is then told apart by the version.
    """
    row, until = Row.objects.filter(id=rollout), now + _WATCH
    if not row.filter(Q(watched_until=None) | Q(watched_until__lte=now)).update(watched_until=until):
        yield False
        return
    try:
        yield True
    finally:
        row.filter(watched_until=until).update(watched_until=None)


def note_obeyed(*, rollout: RolloutId, version: int, heard: Mapping[str, int], now: datetime) -> None:
    """Nothing; from `now` on the present wave is watched. `heard`: for how many minutes each broker had been heard.

    Raises RolloutNotFound, RolloutMoved, WrongRolloutState.
    """
    with transaction.atomic():
        row = _locked(rollout, version, among={RolloutState.RUNNING})
        row.records = [*row.records[:-1], {**row.records[-1], "obeyed_at": to_rfc3339(now)}]
        row.heard = dict(heard)
        _save(row)


def note_measured(*, rollout: RolloutId, version: int, measured: Measured) -> None:
    """Nothing; that is what was seen of the present wave so far. The version stays.

    Raises RolloutNotFound, RolloutMoved, WrongRolloutState.
    """
    with transaction.atomic():
        row = _locked(rollout, version, among={RolloutState.RUNNING})
        row.records = [*row.records[:-1], {**row.records[-1], "measured": measured.as_kept()}]
        row.save(force_update=True)


def _check_groups(domain: DomainId, waves: Waves) -> None:
    named = {name for part in waves.parts for name in part} if waves.split is Split.GROUP else set()
    there = Group.objects.filter(domain_id=domain, name__in=named).values_list("name", flat=True)
    if missing := sorted(named - set(there)):
        raise bad_waves(
            f"There is no group {missing[0][:64]!r} in this domain: list the groups to see those there are."
        )


def _locked(rollout: RolloutId, expected_version: int | None, *, among: Collection[RolloutState]) -> Row:
    """The row, behind the policy of its domain and its change."""
    known = Row.objects.filter(id=rollout).values_list("domain_id", "change_id").first()
    if known is None:
        raise missing_rollout()
    lock_policy(DomainId(known[0]))
    ChangeRow.objects.select_for_update(no_key=True).filter(id=known[1]).values_list("id").get()
    row = Row.objects.select_for_update(of=("self",), no_key=True).whole().get(id=rollout)
    if expected_version is not None and row.version != expected_version:
        raise RolloutMoved(f"The rollout is at version {row.version} by now: look at it again, then repeat.")
    if row.state not in among:
        raise WrongRolloutState(
            f"The rollout is {row.state}: begin another one, or roll back its change if that is applied."
            if row.state not in UNDER_WAY
            else f"The rollout is {row.state}: resume it first."
        )
    return row


def _locked_change(row: Row) -> ChangeRow:
    """The change of a rollout that is held."""
    return ChangeRow.objects.select_related("domain").get(id=row.change_id)


def _entered(now: datetime) -> dict[str, Any]:
    return {"entered_at": to_rfc3339(now), "obeyed_at": None, "measured": None}


def _save(row: Row) -> None:
    require_storable(row.note)
    row.version += 1
    row.save()


def _tell_brokers(action: str, row: Row, *, actor: Actor, now: datetime, more: Mapping[str, Any] | None = None) -> None:
    """Saves the row, last of all, since it names the entry that brokers follow."""
    entry = _record(action, row, actor=actor, now=now, more=more)
    row.seq = entry.seq
    _save(row)


def _record(action: str, row: Row, *, actor: Actor, now: datetime, more: Mapping[str, Any] | None = None) -> Entry:
    change = row.change
    told = {
        "rolled_out": str(change.id),
        "number": change.number,
        "split": str(row.split),
        "wave": row.wave + 1,
        "of": len(row.parts) + 1,
        "state": str(row.state),
    }
    return record(
        action=action,
        subject=Subject(kind="devices.rollout", id=str(row.id), label=f"Change {change.number}: {change.title}"),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after={**told, **(more or {})},
        note=row.note,
    )
