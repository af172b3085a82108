"""The journal: who did what, when; and whether the chain still holds."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from console.views.frame import Visit, screen, show
from console.views.links import subject_address
from console.views.paging import place_of
from kernel.core.actor import ActorKind
from kernel.core.ids import EntryId
from kernel.core.journal import Break, Entry, digest_of
from kernel.queries import list_entries, verify_journal

_MOST_VERIFIED_HERE = 50_000
_ABBREVIATIONS = {"crl", "ocsp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One member of an entry, before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """An entry for people: `changes` are of something that was there before, `told` is what else it says."""

    seq: int
    id: EntryId
    at: datetime
    who: str
    who_kind: str
    from_address: str
    action: str
    what: str
    subject_kind: str
    subject: str
    subject_address: str
    note: str
    changes: tuple[Change, ...]
    told: tuple[Change, ...]
    holds: bool


def happened(action: str) -> str:
    """An action for people: `pki.crl.published` as `CRL published`."""
    _, _, what = action.partition(".")
    first, *others = what.replace(".", " ").replace("_", " ").split(" ")
    return " ".join((first.upper() if first in _ABBREVIATIONS else first.capitalize(), *others))


def entry_row(entry: Entry) -> EntryRow:
    """The entry for people; `holds` says that its content is what its digest covers."""
    changes = list(_changes(entry.before, entry.after))
    return EntryRow(
        seq=entry.seq,
        id=entry.id,
        at=entry.at,
        who=entry.actor.label,
        who_kind="" if entry.actor.kind is ActorKind.OPERATOR else entry.actor.kind.value,
        from_address=entry.actor.address,
        action=entry.action,
        what=happened(entry.action),
        subject_kind=entry.subject.kind.partition(".")[2].replace("_", " "),
        subject=entry.subject.label or entry.subject.id,
        subject_address=subject_address(entry.subject),
        note=entry.note,
        changes=tuple(change for change in changes if change.before),
        told=tuple(change for change in changes if not change.before and change.after),
        holds=hmac.compare_digest(digest_of(entry), entry.digest),
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Change(name=name.replace("_", " "), before=_told(old), after=_told(new))


def _told(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_told, value))
        case dict():
            return ", ".join(f"{name}: {_told(inner)}" for name, inner in value.items())
    return str(value)


@require_safe
@screen("journal:read")
def show_journal(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The entries of the domain, the newest first."""
    place = place_of(request, "kind", "subject")
    kind, subject = place.filters["kind"], place.filters["subject"]
    found = list_entries(
        domain=visit.domain.id,
        subject_kind=kind if subject else "",
        subject_id=subject,
        before_seq=place.number_key(),
        limit=place.size + 1,
    )
    shown = found[: place.size]
    more = [shown[-1].seq] if len(found) > place.size else None
    context = {
        "rows": [entry_row(entry) for entry in shown],
        "pager": place.pager(shown=len(shown), next_key=more, noun="entries"),
        "about": shown[0].subject.label if subject and shown else "",
        "filtered": bool(subject),
    }
    return show(request, "journal.html", context)


@require_POST
@screen("journal:read")
def verify(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Checks the whole chain, and says what was found."""
    newest = next(iter(list_entries(domain=visit.domain.id, limit=1)), None)
    if newest and newest.seq > _MOST_VERIFIED_HERE:
        messages.warning(
            request, f"The journal has more than {_MOST_VERIFIED_HERE:,} entries: run `manage.py journal verify`."
        )
        return HttpResponseRedirect(reverse("journal"))
    breaks, last = 0, 0
    for found in verify_journal():
        if isinstance(found, Break):
            breaks += 1
            if breaks <= 5:
                messages.error(request, f"Entry {found.seq}: {found.what}.")
        else:
            last = found.seq
    if not breaks:
        messages.success(request, f"The chain holds: all {last:,} entries are as they were written.")
    return HttpResponseRedirect(reverse("journal"))
