"""Passwords of a device or application: made, shown once, followed by another while both are good, and revoked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from devices.core.password_verifier import PasswordVerifier, new_password, new_salt
from devices.core.passwords import (
    MAY_BE_GIVEN,
    OVERLAP,
    NoPassword,
    Password,
    PasswordId,
    PasswordThere,
    UnknownPassword,
    check_overlap,
)
from devices.core.values import LIVE_CREDENTIALS, DeviceId, DeviceState
from devices.core.values import CredentialState as S
from devices.models import Device
from devices.models import Password as PasswordRow
from devices.queries import UnknownDevice
from devices.services.issue_credential import DeviceRefused
from kernel.core.actor import SYSTEM, Actor
from kernel.core.ids import DomainId, EntryId, new_id
from kernel.services import record

_MOST_TOLD = 1_000
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedPassword:
    """A fresh password; `text` is shown this once. `operation` brings it to the brokers."""

    password: Password
    text: str
    operation: EntryId

    def __repr__(self) -> str:
        return f"IssuedPassword({self.password.id})"


def issue_password(*, device: DeviceId, actor: Actor, now: datetime) -> IssuedPassword:
    """The first password of the device, or the first since its active one ended; with it the device becomes active.

    Raises UnknownDevice, DeviceRefused, PasswordThere.
    """
    with transaction.atomic():
        row = _lock(device)
        before = row.state
        _settle(row, now=now)
        if row.passwords.filter(state=S.ACTIVE).exists():
            raise PasswordThere("It has a password: have that one followed by another, or revoke it first.")
        made, text = _make(row, S.ACTIVE, now=now)
        if row.state == DeviceState.PRE_REGISTERED:
            row.state, row.enrolled_at = DeviceState.ACTIVE, now
            row.save(update_fields=["state", "enrolled_at"])
        action, after = f"devices.{row.kind}.password_issued", {"state": row.state, **_told(made)}
        entry = _record(action, row, before={"state": before}, after=after, actor=actor, now=now)
    return IssuedPassword(password=made.as_value(), text=text, operation=entry)


def rotate_password(*, device: DeviceId, overlap: timedelta = OVERLAP, actor: Actor, now: datetime) -> IssuedPassword:
    """The password that is to follow the device's present one, which is good for `overlap` yet.

    Brokers that ask take either from now on; the others get the new one when that time is over, or at
    `switch_password`. Raises UnknownDevice, DeviceRefused, NoPassword, PasswordThere, BadOverlap.
    """
    check_overlap(overlap)
    with transaction.atomic():
        row = _lock(device)
        _settle(row, now=now)
        good = {S(each.state): each for each in row.passwords.good(now=now)}
        if S.ACTIVE not in good:
            raise NoPassword("It has no password that another could follow: issue one.")
        if S.STAGED in good:
            raise PasswordThere("A password waits to follow the present one already: switch to it, or revoke it.")
        made, text = _make(row, S.STAGED, now=now)
        old = good[S.ACTIVE]
        old.not_after = now + overlap
        old.save(update_fields=["not_after"])
        _settle(row, now=now)
        made.refresh_from_db()
        after = {**_told(made), "follows": str(old.id), "follows_until": old.not_after.isoformat()}
        entry = _record(f"devices.{row.kind}.password_rotated", row, after=after, actor=actor, now=now)
    return IssuedPassword(password=made.as_value(), text=text, operation=entry)


def switch_password(*, device: DeviceId, actor: Actor, now: datetime) -> EntryId:
    """The operation by which brokers with room for one password get the one that waits.

    The one before retires: brokers that ask take it until its time is over. Raises UnknownDevice, NoPassword.
    """
    with transaction.atomic():
        row = _lock(device, only_good=False)
        _settle(row, now=now)
        staged = row.passwords.good(now=now).filter(state=S.STAGED).first()
        if staged is None:
            raise NoPassword("No password waits to follow the present one.")
        for before, after in ((S.RETIRING, S.REVOKED), (S.ACTIVE, S.RETIRING), (S.STAGED, S.ACTIVE)):
            row.passwords.filter(state=before).update(state=after)
        return _record(f"devices.{row.kind}.password_switched", row, after=_told(staged), actor=actor, now=now)


def revoke_password(*, device: DeviceId, password: PasswordId, actor: Actor, now: datetime) -> EntryId | None:
    """The operation that ends the password everywhere, and the device's sessions; None if it had ended already.

    One that waits to follow it does so at once; if that one is revoked, the present one has no end any more.
    Raises UnknownDevice, UnknownPassword.
    """
    with transaction.atomic():
        row = _lock(device, only_good=False)
        found = row.passwords.filter(id=password).first()
        if found is None:
            raise UnknownPassword("It has no such password: list those that it has.")
        if not found.as_value().is_good(now):
            return None
        row.passwords.filter(id=password).update(state=S.REVOKED)
        if found.state == S.STAGED:  # one that has ended by itself stays so
            row.passwords.good(now=now).filter(state=S.ACTIVE).update(not_after=None)
        _follow(row)
        return _record(f"devices.{row.kind}.password_revoked", row, after=_told(found), actor=actor, now=now)


def end_passwords(row: Device) -> None:
    """None of the device's passwords is good any more; within the caller's transaction, which has locked it."""
    row.passwords.filter(state__in=LIVE_CREDENTIALS).update(state=S.REVOKED)


def tell_ended_passwords(*, now: datetime) -> int:
    """Of how many devices the journal tells that a password of theirs ended by itself; at most 1,000 at a time."""
    ended = PasswordRow.objects.ended(now=now).order_by("not_after", "id").values_list("device_id", flat=True)
    return sum(_tell(DeviceId(id), now=now) for id in sorted(set(ended[:_MOST_TOLD])))


def _tell(device: DeviceId, *, now: datetime) -> bool:
    with transaction.atomic():
        row = _lock(device, only_good=False)
        ended = [str(each) for each in row.passwords.ended(now=now).order_by("id").values_list("id", flat=True)]
        if ended:
            _settle(row, now=now)
            _record(f"devices.{row.kind}.password_ended", row, after={"passwords": ended}, actor=SYSTEM, now=now)
        return bool(ended)


def _settle(row: Device, *, now: datetime) -> None:
    """What has ended is written down as that, and what waited for it follows."""
    row.passwords.ended(now=now).update(state=S.EXPIRED)
    _follow(row)


def _follow(row: Device) -> None:
    if not row.passwords.filter(state=S.ACTIVE).exists():
        row.passwords.filter(state=S.STAGED).update(state=S.ACTIVE)


def _make(row: Device, state: S, *, now: datetime) -> tuple[PasswordRow, str]:
    text = new_password()
    verifier = PasswordVerifier.of(text, salt=new_salt())
    made = PasswordRow.objects.create(id=new_id(), device=row, state=state, verifier=verifier.to_json(), created_at=now)
    return made, text


def _lock(device: DeviceId, *, only_good: bool = True) -> Device:
    """The device's row. Raises UnknownDevice, and DeviceRefused if it may have no further password."""
    row = Device.objects.select_for_update(no_key=True).filter(id=device).first()
    if row is None:
        raise UnknownDevice("There is no such device.")
    if only_good and row.state not in MAY_BE_GIVEN:
        raise DeviceRefused(f"It is {row.state}: only one that may connect, or is still to, gets a password.")
    return row


def _told(made: PasswordRow) -> dict[str, Any]:
    return {"password": str(made.id), "digest": made.as_value().verifier.digest}


def _record(
    action: str,
    row: Device,
    *,
    before: Mapping[str, str] = _NOTHING,
    after: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> EntryId:
    entry = record(
        action=action,
        subject=row.as_subject(),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        before=before,
        after=after,
    )
    return entry.id
