"""Enrolment profiles and the tokens that let a factory enrol under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from devices.core.names import check_name
from devices.core.tokens import (
    MAX_SECONDS,
    MAX_USES,
    PURPOSE,
    TokenExpired,
    TokenSpent,
    check_address,
    check_networks,
    refused,
    split_token,
)
from devices.core.values import EnrolmentProfileId, EnrolmentTokenId
from devices.models import DeviceType, EnrolmentProfile, EnrolmentToken
from devices.services.domains import NameTaken
from kernel.conf import master_key
from kernel.core.actor import Actor
from kernel.core.errors import FieldError, Invalid, NotFound
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.core.secrets import new_token
from kernel.services import record


class UnknownProfile(NotFound):
    """There is no such enrolment profile."""

    code = "enrolment-profile-unknown"


class UnknownToken(NotFound):
    """There is no such enrolment token."""

    code = "enrolment-token-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A fresh token; `token` is shown this once."""

    id: EnrolmentTokenId
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"MintedToken({self.id})"


def create_enrolment_profile(
    *, domain: DomainId, name: str, device_type: str, needs_approval: bool, actor: Actor, now: datetime
) -> EnrolmentProfileId:
    """A new profile. Raises BadName, NameTaken, NotFound."""
    check_name(name)
    kind = DeviceType.objects.filter(domain_id=domain, name=device_type).first()
    if kind is None:
        raise NotFound(f"There is no device type {device_type[:80]!r}: create it first.", code="device-type-unknown")
    try:
        with transaction.atomic():
            row = EnrolmentProfile.objects.create(
                id=new_id(), domain_id=domain, name=name, device_type=kind, needs_approval=needs_approval
            )
            record(
                action="devices.enrolment_profile.created",
                subject=Subject(kind="devices.enrolment_profile", id=str(row.id), label=name),
                actor=actor,
                now=now,
                domain=domain,
                after={"name": name, "device_type": device_type, "needs_approval": needs_approval},
            )
    except IntegrityError as error:
        raise NameTaken(f"There is an enrolment profile {name!r} already: choose another name.") from error
    return EnrolmentProfileId(row.id)


def mint_enrolment_token(
    *,
    domain: DomainId,
    profile: str,
    max_uses: int,
    expires_in_seconds: int,
    allowed_networks: Sequence[str],
    actor: Actor,
    now: datetime,
) -> MintedToken:
    """A fresh token of 192 random bits, of which a keyed hash is kept. Raises UnknownProfile, Invalid."""
    kind = EnrolmentProfile.objects.filter(domain_id=domain, name=profile).first()
    if kind is None:
        raise UnknownProfile(f"There is no enrolment profile {profile[:80]!r} in this domain.")
    _check_bounds(max_uses, expires_in_seconds)
    networks = check_networks(allowed_networks)
    id, secret = new_id(), new_token()
    with transaction.atomic():
        row = EnrolmentToken.objects.create(
            id=id,
            profile=kind,
            secret_hash=master_key().keyed_hash(f"{id}.{secret}", purpose=PURPOSE),
            max_uses=max_uses,
            expires_at=now + timedelta(seconds=expires_in_seconds),
            allowed_networks=networks,
            created_at=now,
        )
        record(
            action="devices.enrolment_token.created",
            subject=Subject(kind="devices.enrolment_token", id=str(id), label=profile),
            actor=actor,
            now=now,
            domain=domain,
            after={"profile": profile, "max_uses": max_uses, "expires_at": row.expires_at.isoformat()},
        )
    return MintedToken(id=EnrolmentTokenId(id), token=f"{id.hex}.{secret}", expires_at=row.expires_at)


def _check_bounds(max_uses: int, expires_in_seconds: int) -> None:
    bounds = (("max_uses", max_uses, MAX_USES), ("expires_in", expires_in_seconds, MAX_SECONDS))
    errors = [
        FieldError(pointer=f"/{name}", code="out-of-bounds", detail=f"has to be from 1 to {high}")
        for name, value, high in bounds
        if not 1 <= value <= high
    ]
    if errors:
        said = "; ".join(f"{error.pointer[1:]} {error.detail}" for error in errors)
        raise Invalid(f"The token can not be made: {said}.", code="out-of-bounds", errors=tuple(errors))


def revoke_enrolment_token(*, token: EnrolmentTokenId, actor: Actor, now: datetime) -> None:
    """The token is refused from now on. Repeating it is harmless. Raises UnknownToken."""
    with transaction.atomic():
        row = EnrolmentToken.objects.select_for_update(of=("self",)).select_related("profile").filter(id=token).first()
        if row is None:
            raise UnknownToken("There is no such enrolment token.")
        if row.revoked_at is not None:
            return
        row.revoked_at = now
        row.save(update_fields=["revoked_at"])
        record(
            action="devices.enrolment_token.revoked",
            subject=Subject(kind="devices.enrolment_token", id=str(row.id), label=row.profile.name),
            actor=actor,
            now=now,
            domain=DomainId(row.profile.domain_id),
        )


def open_token(*, token: str, address: str) -> EnrolmentToken:
    """The row of a token that is genuine and may be used from there; `check_usable` and its quota come after.

    Raises TokenRefused (unknown and wrong alike), TokenExpired if it was revoked, WrongNetwork.
    """
    id, secret = split_token(token)
    row = EnrolmentToken.objects.select_related("profile__domain", "profile__device_type").filter(id=id).first()
    expected = bytes(row.secret_hash) if row else bytes(32)
    if not master_key().is_hash_of(expected, f"{id}.{secret}", purpose=PURPOSE) or row is None:
        raise refused()
    _move_to_present_key(row, f"{id}.{secret}")
    if row.revoked_at is not None:
        raise TokenExpired("The enrolment token was revoked: ask for a fresh one.")
    check_address(address, row.allowed_networks)
    return row


def _move_to_present_key(row: EnrolmentToken, token: str) -> None:
    """Hashes the token anew if its hash hangs on an older master key, which may be taken away then."""
    stored = bytes(row.secret_hash)
    if not master_key().current.made(stored):
        fresh = master_key().keyed_hash(token, purpose=PURPOSE)
        EnrolmentToken.objects.filter(id=row.id, secret_hash=stored).update(secret_hash=fresh)


def check_usable(row: EnrolmentToken, *, now: datetime) -> None:
    """Raises TokenExpired once its time is over."""
    if row.expires_at <= now:
        raise TokenExpired("The enrolment token has ended: ask for a fresh one.")


def spend_use(row: EnrolmentToken, *, now: datetime) -> None:
    """Takes one use, within the caller's transaction. Raises TokenSpent."""
    taken = EnrolmentToken.objects.filter(id=row.id, uses__lt=F("max_uses"), revoked_at=None, expires_at__gt=now)
    if not taken.update(uses=F("uses") + 1, last_used_at=now):
        raise TokenSpent(f"All {row.max_uses} uses of the enrolment token are spent: ask for a fresh one.")


def give_back_use(row: EnrolmentToken) -> None:
    """Returns a use that came to nothing."""
    EnrolmentToken.objects.filter(id=row.id, uses__gt=0).update(uses=F("uses") - 1)
