"""What is written down about a broker after each contact with it, or each attempt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brokers import models
from brokers.core.kept_text import spelled
from brokers.core.plans import policy_digest
from brokers.core.ports import DesiredState
from brokers.core.values import BrokerId, OnDrift, SyncState

_DETAIL_CHARACTERS = 1_000


def note_contact(*, broker: BrokerId, now: datetime, version: str, **changes: Any) -> None:
    """The broker answered; `changes` are columns. Its version stays as it was if it did not say."""
    _note_contact(models.Broker.objects.filter(id=broker), now=now, version=version, changes=changes)


def note_seen(row: models.Broker, *, now: datetime, version: str, **changes: Any) -> None:
    """The same for what was seen since `row` was read. Nothing is noted if its ground is another one now: somebody
    else has had the right to write there, or what is known of the broker or chosen for it was changed.
    """
    ground = {name: getattr(row, name) for name in ("lease", "sync", "desired_digest", "on_drift")}
    _note_contact(models.Broker.objects.filter(id=row.id, **ground), now=now, version=version, changes=changes)


def _note_contact(rows: models.BrokerQuerySet, *, now: datetime, version: str, changes: dict[str, Any]) -> None:
    if version:
        changes["version"] = version[:64]
    if "detail" in changes:
        changes["detail"] = spelled(changes["detail"], most=_DETAIL_CHARACTERS)
    rows.update(last_seen_at=now, checked_at=now, **changes)


def note_unreachable(*, broker: BrokerId, now: datetime, detail: str) -> None:
    """The broker did not answer: at its return everything is compared."""
    models.Broker.objects.filter(id=broker).update(
        sync=SyncState.UNREACHABLE, checked_at=now, detail=spelled(detail, most=_DETAIL_CHARACTERS)
    )


def note_refused(*, broker: BrokerId, now: datetime, detail: str) -> None:
    """What it holds could not be compared or written, though it may answer: nobody may call it in sync."""
    models.Broker.objects.managed().filter(id=broker).update(
        sync=SyncState.PENDING, checked_at=now, detail=spelled(detail, most=_DETAIL_CHARACTERS)
    )


def verified(row: models.Broker, desired: DesiredState, digest: str) -> dict[str, str]:
    """The columns that say that a rendering of that digest was found on the broker, and what it says.

    While the rendering is the same, so is that; where nobody has to be asked it is not wanted.
    """
    if row.on_drift != OnDrift.ASK:
        return {"desired_digest": digest, "policy_digest": ""}
    if row.desired_digest == digest and row.policy_digest:
        return {}
    return {"desired_digest": digest, "policy_digest": policy_digest(desired)}


def note_in_sync(
    *, broker: BrokerId, now: datetime, version: str, seq: int, found: Mapping[str, str], detail: str = ""
) -> None:
    """Everything up to the journal entry `seq` was read back from the broker; `found` is `verified`'s."""
    rows = models.Broker.objects.filter(id=broker, converged_seq__lt=seq)
    note_contact(
        broker=broker,
        now=now,
        version=version,
        sync=SyncState.IN_SYNC,
        detail=detail,
        drifted_at=None,
        **found,
    )
    rows.update(converged_seq=seq)
