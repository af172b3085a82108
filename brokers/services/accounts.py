"""Accounts that a broker has and nobody knows: noted at each look at it, and acknowledged by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from brokers import models, queries
from brokers.core.accounts import own_accounts, unknown_accounts
from brokers.core.kept_text import MOST_CHARACTERS, spelled
from brokers.core.ports import AppliedState, DesiredState
from brokers.core.values import AdapterKind, Broker, BrokerId
from kernel.core.actor import Actor
from kernel.core.errors import FieldError, Invalid
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record

MOST_KNOWN = 200
_MOST_NOTES, _NOTE_CHARACTERS = 20, 400


class InvalidAccounts(Invalid):
    """Names that no account has, or more of them than are kept."""

    code = "invalid-accounts"


def note_accounts(*, broker: BrokerId, desired: DesiredState, applied: AppliedState) -> None:
    """Keeps which accounts nobody knows, if `applied` is all that the broker holds and they are others than before.

    Those of a device's name are its own, or stop the plan. What is unsafe of the broker itself is kept beside.
    """
    row = models.Broker.objects.filter(id=broker).first()
    if row is None or applied.only is not None:
        return
    notes = [spelled(note, most=_NOTE_CHARACTERS) for note in applied.notes[:_MOST_NOTES]]
    if notes != row.notes:
        models.Broker.objects.filter(id=broker).update(notes=notes)
    found = unknown_accounts(applied.foreign.difference(_auth_ids(desired)), _known(row))
    if found != row.unknown_accounts:
        # Somebody may acknowledge one meanwhile: then the next look finds out.
        same = models.Broker.objects.filter(id=broker, known_accounts=row.known_accounts)
        same.update(unknown_accounts=found)


def acknowledge_accounts(
    *, broker: BrokerId, add: Sequence[str] = (), remove: Sequence[str] = (), actor: Actor, now: datetime
) -> Broker:
    """The broker, of whose accounts those to add are known from now on, and those to remove no more.

    What is known is no finding; what is known no more is found again at the next look. Raises BrokerNotFound,
    InvalidAccounts.
    """
    if faults := (*_faults("/add", add), *_faults("/remove", remove)):
        raise InvalidAccounts(faults[0].detail, errors=faults)
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        before = row.known_accounts
        row.known_accounts = sorted({*before, *add}.difference(remove))
        if len(row.known_accounts) > MOST_KNOWN:
            raise InvalidAccounts(f"At most {MOST_KNOWN} accounts are acknowledged: take out those that are gone.")
        if row.known_accounts != before:
            row.unknown_accounts = _without(row.unknown_accounts, _known(row))
            row.save(update_fields=["known_accounts", "unknown_accounts"])
            record(
                action="brokers.accounts.acknowledged",
                subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
                actor=actor,
                now=now,
                domain=DomainId(row.domain_id),
                before={"known": before},
                after={"known": row.known_accounts},
            )
    return queries.get_broker(id=broker)


def _auth_ids(desired: DesiredState) -> Iterator[str]:
    return (subject.principal.auth_id for subject in desired.subjects)


def _known(row: models.Broker) -> frozenset[str]:
    return own_accounts(AdapterKind(row.kind), row.control_name).union(row.known_accounts)


def _without(kept: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """What was found, less those; the others that were counted stay counted."""
    names = kept.get("names", [])
    left = [name for name in names if name not in known]
    count = kept.get("count", 0) - len(names) + len(left)
    return {"count": count, "names": left} if count else {}


def _faults(pointer: str, names: Sequence[str]) -> Iterator[FieldError]:
    for number, name in enumerate(names):
        if not name or name != spelled(name):
            detail = f"Give the name of an account, of 1 to {MOST_CHARACTERS} characters."
            yield FieldError(pointer=f"{pointer}/{number}", code=InvalidAccounts.code, detail=detail)
