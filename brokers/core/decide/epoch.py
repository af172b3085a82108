"""What of that which is known of principals still holds, by what the journal says has happened since.

Whatever is known is marked with the epoch before it was read. An entry that may change it makes it stale: of one
device, of a domain, or all. An entry that nobody here has heard of makes at least its whole domain stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from acl.core.own_rules import holder_of
from kernel.core.ids import DomainId
from kernel.core.journal import Entry

MOST_MARKS = 100_000
_HARMLESS = (
    "brokers.plan.",
    "brokers.policy.",
    "brokers.probe.",
    "console.",
    "devices.enrolment_",
    "devices.policy_change.approved",
    "devices.policy_change.drafted",
    "devices.policy_change.rebased",
    "devices.policy_change.rejected",
    "devices.policy_change.rewritten",
    "devices.policy_change.withdrawn",
    "pki.crl.",
    "pki.issuance.",
    "pki.key.",
    "pki.keys.",
    "pki.profile.",
)
"""How actions begin that change nothing of what a principal may."""
_PRINCIPALS = {"devices.device", "devices.application"}
_HOLDERS = {"device", "application"}


class Epoch:
    """The present epoch, and since which each thing is stale. One thread at a time takes entries; any may ask."""

    __slots__ = ("_all", "_devices", "_domains", "_doors", "_newcomers", "_own", "number")

    def __init__(self) -> None:
        self.number = 0
        self._all = self._doors = 0
        self._domains: dict[DomainId, int] = {}
        self._newcomers: dict[DomainId, int] = {}
        self._devices: dict[UUID, int] = {}
        self._own: dict[tuple[DomainId, str], int] = {}

    @property
    def swept(self) -> int:
        """That at which a whole domain, or all, became stale last."""
        return max([self._all, *self._domains.values()])

    def take(self, entries: Iterable[Entry]) -> None:
        """Begins a new epoch: what the entries are about is stale."""
        now = self.number + 1
        for entry in entries:
            self._take(entry, now)
        if len(self._devices) + len(self._own) > MOST_MARKS:
            self._all = now
            self._devices.clear()
            self._own.clear()
        self.number = now

    def forget_all(self) -> None:
        """Begins a new epoch: everything is stale."""
        self._all = self._doors = self.number = self.number + 1

    def has_device(self, device: UUID, domain: DomainId, *, since: int, name: str) -> bool:
        """Whether what was known then of the device, which has that name in its domain, still holds."""
        if self._own and since < self._own.get((domain, name), 0):
            return False
        return since >= max(self._all, self._domains.get(domain, 0), self._devices.get(device, 0))

    def has_domain(self, domain: DomainId, *, since: int) -> bool:
        """Whether what was known then of all of the domain still holds."""
        return since >= max(self._all, self._domains.get(domain, 0))

    def has_stranger(self, domain: DomainId, *, since: int) -> bool:
        """Whether a name that nobody in the domain had then is still nobody's."""
        return since >= max(self._all, self._domains.get(domain, 0), self._newcomers.get(domain, 0))

    def has_doors(self, *, since: int) -> bool:
        """Whether brokers and their secrets are still those of then."""
        return since >= self._doors

    def _take(self, entry: Entry, now: int) -> None:
        if entry.action.startswith("brokers.") and not entry.action.startswith(_HARMLESS):
            self._doors = now
            if entry.action == "brokers.broker.changed" and entry.domain is not None:
                self._domains[entry.domain] = now  # whether passwords prove anybody there
        elif not entry.action.startswith(_HARMLESS):
            devices, holder = _devices_of(entry), _whose_rules(entry)
            if entry.domain is not None and holder is not None:
                self._own[entry.domain, holder] = now
            elif devices is not None:
                self._devices |= dict.fromkeys(devices, now)
            elif entry.domain is None or entry.action.startswith("pki."):  # a CA may stand above those of other domains
                self._all = now
            else:
                self._domains[entry.domain] = now
            if entry.domain is not None:
                self._newcomers[entry.domain] = now


def _whose_rules(entry: Entry) -> str | None:
    """The name of the one device whose own rules the entry is about: nobody else is ever given them."""
    if not entry.action.startswith("acl.role."):
        return None
    names = [told["name"] for told in (entry.before, entry.after) if "name" in told]
    is_one = names != [] and names[0] == names[-1] and isinstance(names[0], str)
    return holder_of(names[0]) if is_one else None


def _devices_of(entry: Entry) -> list[UUID] | None:
    """The devices that the entry is about; None if it may be about all of its domain."""
    try:
        if entry.subject.kind in _PRINCIPALS:
            return [UUID(entry.subject.id)]
        if entry.action.startswith("pki.certificate."):
            kind, _, id = str(entry.after["holder"]).partition(":")
            return [] if kind == "broker" else [UUID(id)] if kind in _HOLDERS else None
        if entry.action == "devices.group.changed":
            return _members(entry.after)
        if entry.action.startswith("devices.binding."):
            bound_to = {entry.before.get("device"), entry.after.get("device")} - {None}
            return [UUID(id) for id in bound_to] or None
    except (KeyError, ValueError, TypeError):
        pass
    return None


def _members(told: Mapping[str, Any]) -> list[UUID] | None:
    """Who joined and who left, unless there were more than the journal tells."""
    named = [*told.get("added", ()), *told.get("removed", ())]
    counted = told.get("added_count", 0) + told.get("removed_count", 0)
    return [UUID(id) for id in named] if named and len(named) == counted else None
