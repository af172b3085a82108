"""Operators: how they come to be, get in for the first time, and sign in."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from console.access import operator_actor
from console.conf import base_url
from console.core.roles import ConsoleRole
from console.models import Membership, Operator, SetupLink
from kernel.conf import master_key
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError, Invalid, NotFound
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.core.secrets import new_token
from kernel.services import record

SETUP_LINK_LASTS = timedelta(days=2)
_PURPOSE = "console.setup_link"
_MAX_TOKEN = 128
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,149}")


class OperatorExists(Conflict):
    """The user name is taken."""

    code = "operator-exists"


class WrongUsername(Invalid):
    """The user name can not be one."""

    code = "invalid-username"


class WeakPassword(Invalid):
    """The password does not meet the rules."""

    code = "weak-password"


class SetupLinkSpent(NotFound):
    """No open setup link has this token: it was used, it ended, or it never was."""

    code = "setup-link-spent"


def create_operator(*, username: str, display_name: str = "", actor: Actor, now: datetime) -> Operator:
    """A new operator without a password and without a membership. Raises WrongUsername, OperatorExists."""
    name = username.strip().lower()
    if not _USERNAME.fullmatch(name):
        raise WrongUsername("A user name has 1 to 150 of a-z, 0-9 and . - _ @, and begins with a letter or digit.")
    operator = Operator(username=name, display_name=display_name.strip()[:150], created_at=now)
    operator.set_unusable_password()
    try:
        with transaction.atomic():
            operator.save(force_insert=True)
            record(action="console.operator.created", subject=subject_of(operator), actor=actor, now=now)
    except IntegrityError as error:
        raise OperatorExists(f"There is an operator called {name!r} already: choose another name.") from error
    return operator


def grant_role(*, operator: Operator, domain: DomainId, role: ConsoleRole, actor: Actor, now: datetime) -> None:
    """Makes the operator a `role` in the domain, in place of what it was there."""
    with transaction.atomic():
        before = Membership.objects.select_for_update().filter(operator=operator, domain_id=domain).first()
        if before is not None and before.role == role:
            return
        Membership.objects.update_or_create(operator=operator, domain_id=domain, defaults={"role": role})
        record(
            action="console.operator.role_granted",
            subject=subject_of(operator),
            actor=actor,
            now=now,
            domain=domain,
            before={"role": before.role} if before else {},
            after={"role": role.value},
        )


def make_setup_link(*, operator: Operator, actor: Actor, now: datetime) -> str:
    """The URL that lets the operator choose a password, once, within two days. Earlier links end."""
    token = new_token()
    with transaction.atomic():
        SetupLink.objects.filter(operator=operator, used_at=None).update(used_at=now)
        SetupLink.objects.create(
            operator=operator, token_hash=_hash(token), created_at=now, expires_at=now + SETUP_LINK_LASTS
        )
        record(action="console.operator.setup_link_made", subject=subject_of(operator), actor=actor, now=now)
    return f"{base_url()}/setup/{token}/"


def open_setup_link(*, token: str, now: datetime) -> Operator:
    """The operator that an open link is for; the link stays open. Raises SetupLinkSpent."""
    link = None
    if len(token) <= _MAX_TOKEN:
        links = SetupLink.objects.open(now=now).select_related("operator")
        link = links.filter(token_hash__in=_hashes(token)).first()
    if link is None:
        raise SetupLinkSpent(
            "This link has been used or has ended. Ask for a new one: `manage.py setup_link <user name>` makes it."
        )
    return link.operator


def redeem_setup_link(*, token: str, password: str, address: str, now: datetime) -> Operator:
    """The operator, with the new password; the link is spent. Raises SetupLinkSpent, WeakPassword (link stays open)."""
    operator = open_setup_link(token=token, now=now)
    try:
        validate_password(password, user=operator)
    except ValidationError as error:
        faults = tuple(
            FieldError(pointer="/password", code=str(one.code or "weak").replace("_", "-"), detail=sentence)
            for one in error.error_list
            for sentence in one.messages
        )
        raise WeakPassword(" ".join(fault.detail for fault in faults), errors=faults) from error
    operator.set_password(password)  # slow on purpose, and so before the transaction
    with transaction.atomic():
        if not SetupLink.objects.filter(token_hash__in=_hashes(token), used_at=None).update(used_at=now):
            raise SetupLinkSpent("This link has just been used. Sign in with the password that was set.")
        operator.save(update_fields=["password"])
        record(
            action="console.operator.set_up",
            subject=subject_of(operator),
            actor=operator_actor(operator, address=address),
            now=now,
        )
    return operator


def note_signed_in(*, operator: Operator, address: str, now: datetime) -> None:
    """Puts the sign-in into the journal."""
    _note("console.operator.signed_in", operator, address=address, now=now)


def note_signed_out(*, operator: Operator, address: str, now: datetime) -> None:
    """Puts the sign-out into the journal."""
    _note("console.operator.signed_out", operator, address=address, now=now)


def change_time_zone(*, operator: Operator, time_zone: str, now: datetime) -> None:
    """The times that the operator types are in `time_zone`, an IANA name such as Europe/Vienna. Raises Invalid."""
    if time_zone not in zoneinfo.available_timezones():
        raise Invalid(f"{time_zone[:64]!r} is no time zone: give a name such as Europe/Vienna.", code="invalid-zone")
    with transaction.atomic():
        before, operator.time_zone = operator.time_zone, time_zone
        operator.save(update_fields=["time_zone"])
        record(
            action="console.operator.changed",
            subject=subject_of(operator),
            actor=operator_actor(operator),
            now=now,
            before={"time_zone": before},
            after={"time_zone": time_zone},
        )


def subject_of(operator: Operator) -> Subject:
    """The operator as the journal names what a change is about."""
    return Subject(kind="console.operator", id=str(operator.pk), label=operator.username)


def _note(action: str, operator: Operator, *, address: str, now: datetime) -> None:
    with transaction.atomic():
        actor = operator_actor(operator, address=address)
        record(action=action, subject=subject_of(operator), actor=actor, now=now)


def _hash(token: str) -> bytes:
    return master_key().keyed_hash(token, purpose=_PURPOSE)


def _hashes(token: str) -> list[bytes]:
    """Under each master key that is believed."""
    return master_key().keyed_hashes(token, purpose=_PURPOSE)
