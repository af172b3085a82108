"""Groups: those whose members people choose, and those whose members a query finds.

A group stays what it was made as.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from devices.core.group_query import canonical
from devices.core.names import check_name
from devices.core.policy_changes import PolicyChangeId
from devices.core.policy_document import GroupSpec
from devices.core.tags import query_tag
from devices.core.values import DeviceId, GroupId
from devices.models import Device, Group
from devices.queries import UnknownDevice
from devices.queries.groups import unknown_group
from devices.services.domains import NameTaken
from devices.services.group_membership import fill_group
from devices.services.policy_gate import enter_policy, lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid, Superseded
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Change, Subject
from kernel.services import record_many

_MOST_TOLD = 1_000
_MOST_QUERIES = 1_000  # a domain's; each is asked of every device that is registered, enrolled or changed


class TooManyQueries(Conflict):
    """The domain has very many groups by query."""

    code = "too-many-group-queries"


class GroupKind(Conflict):
    """The group is of the other kind: by query, or with chosen members."""

    code = "group-kind"


class QueryMoved(Superseded):
    """The query was changed since it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """What was done to a group, for the journal."""

    row: Group
    action: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


def create_group(
    *,
    domain: DomainId,
    name: str,
    members: Collection[DeviceId] = (),
    query: str = "",
    actor: Actor,
    now: datetime,
) -> GroupId:
    """A new group with these members, or of the devices that the query is true of, now and from now on.

    Raises BadName, NameTaken, UnknownDevice, BadQuery, TooManyQueries; Invalid where both are given.
    """
    check_name(name)
    if query and members:
        raise Invalid("A group has either members or a query: leave one of them out.", code=GroupKind.code)
    with transaction.atomic():
        lock_policy(domain)  # as a change of policy does that makes groups
        write = _make(domain, GroupSpec(name=name, query=canonical(query) if query else ""))
        joined = _members(domain, members)
        write.row.members.add(*joined)
        more = {} if query else _told("added", joined)
        _record([write], change=None, more=more, actor=actor, now=now)
    return GroupId(write.row.id)


def change_group_query(
    *, group: GroupId, query: str, expected_tag: str | None = None, actor: Actor, now: datetime
) -> None:
    """Nothing; the members are those devices that the query is true of.

    `expected_tag` is that of the query as the caller knows it. Raises UnknownGroup, GroupKind, BadQuery, QueryMoved,
    and ApprovalRequired where the domain wants its policy approved: who is in a group decides who has its roles.
    """
    wanted = canonical(query)
    with transaction.atomic():
        domain = Group.objects.filter(id=group).values_list("domain_id", flat=True).first()
        if domain is None:
            raise unknown_group()
        enter_policy(DomainId(domain), change=None)
        row = _lock_group(group)
        if expected_tag is not None and expected_tag != query_tag(row.query):
            raise QueryMoved("The group's query was changed since you read it: look at it again, then repeat.")
        if row.query != wanted:
            _record([_rewrite(row, wanted)], change=None, actor=actor, now=now)


def write_groups(
    *, domain: DomainId, groups: Iterable[GroupSpec], change: PolicyChangeId, actor: Actor, now: datetime
) -> None:
    """Nothing; the groups are there, with these queries, as a part of the approved change. Raises GroupKind.

    All are filled before the journal is written. The caller holds the domain's policy.
    """
    with transaction.atomic():
        wanted = {group.name: group for group in groups}
        rows = Group.objects.select_for_update(no_key=True).filter(domain_id=domain, name__in=wanted).order_by("id")
        known = {row.name: row for row in rows}
        moved = [row for name, row in known.items() if row.query != wanted[name].query]
        writes = [_rewrite(row, wanted[row.name].query) for row in moved]
        writes += [_make(domain, group) for name, group in wanted.items() if name not in known]
        _record(writes, change=change, actor=actor, now=now)


def add_to_group(*, group: GroupId, devices: Collection[DeviceId], actor: Actor, now: datetime) -> None:
    """The devices are members from now on. Raises UnknownGroup, UnknownDevice, GroupKind."""
    with transaction.atomic():
        row = _lock_chosen(group)
        known = set(row.members.filter(id__in=devices).values_list("id", flat=True))
        joined = [device for device in _members(DomainId(row.domain_id), devices) if device.id not in known]
        row.members.add(*joined)
        write = _Write(row=row, action="devices.group.changed", after=_told("added", joined))
        _record([write], change=None, actor=actor, now=now)


def remove_from_group(*, group: GroupId, devices: Collection[DeviceId], actor: Actor, now: datetime) -> None:
    """The devices are no members from now on. Raises UnknownGroup, GroupKind."""
    with transaction.atomic():
        row = _lock_chosen(group)
        left = list(row.members.filter(id__in=devices))
        row.members.remove(*left)
        write = _Write(row=row, action="devices.group.changed", after=_told("removed", left))
        _record([write], change=None, actor=actor, now=now)


def group_kind(group: GroupSpec) -> GroupKind:
    """The error that the group does not become one of the other kind."""
    said = "has a query" if group.query else "has members that were chosen"
    return GroupKind(f"The group {group.name} {said}, and stays so: make another group, and bind that one instead.")


def _make(domain: DomainId, group: GroupSpec) -> _Write:
    """A new group. Raises NameTaken, TooManyQueries. The caller holds the domain's policy."""
    if group.query and Group.objects.filter(domain_id=domain).exclude(query="").count() >= _MOST_QUERIES:
        raise TooManyQueries(f"There are {_MOST_QUERIES} groups by query already: change the query of one of them.")
    row = Group(id=new_id(), domain_id=domain, name=group.name, query=group.query)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise NameTaken(f"There is a group {group.name!r} already: choose another name.") from error
    if not group.query:
        return _Write(row=row, action="devices.group.created")
    joined, _ = fill_group(row)
    return _Write(row=row, action="devices.group.created", after={"query": row.query, "added_count": joined})


def _rewrite(row: Group, query: str) -> _Write:
    """The locked group with another query. Raises GroupKind."""
    if not row.query or not query:
        raise group_kind(GroupSpec(name=row.name, query=row.query))
    before, row.query = row.query, query
    row.save(update_fields=["query"])
    joined, left = fill_group(row)
    after = {"query": query, "added_count": joined, "removed_count": left}
    return _Write(row=row, action="devices.group.changed", before={"query": before}, after=after)


def _lock_group(group: GroupId) -> Group:
    row = Group.objects.select_for_update(no_key=True).filter(id=group).first()
    if row is None:
        raise unknown_group()
    return row


def _lock_chosen(group: GroupId) -> Group:
    row = _lock_group(group)
    if row.query:
        raise GroupKind(
            f"The members of {row.name} are found by its query: change the query or the devices' attributes."
        )
    return row


def _members(domain: DomainId, devices: Collection[DeviceId]) -> list[Device]:
    found = list(Device.objects.filter(domain_id=domain, id__in=devices))
    if missing := set(devices) - {DeviceId(row.id) for row in found}:
        raise UnknownDevice(f"There is no device {min(missing)} in this domain; nothing was changed.")
    return found


def _told(what: str, devices: Iterable[Device]) -> dict[str, Any]:
    """Who joined or left, for the journal: the first 1,000 by id, and how many there are."""
    ids = sorted(str(device.id) for device in devices)
    return {what: ids[:_MOST_TOLD], f"{what}_count": len(ids)}


def _record(
    writes: Iterable[_Write],
    *,
    change: PolicyChangeId | None,
    more: Mapping[str, Any] | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    part = {"change": str(change)} if change else {}
    changes = [
        Change(
            action=write.action,
            subject=Subject(kind="devices.group", id=str(write.row.id), label=write.row.name),
            domain=DomainId(write.row.domain_id),
            before=write.before,
            after={"name": write.row.name, **write.after, **(more or {}), **part},
            note="",
        )
        for write in writes
    ]
    record_many(changes=changes, actor=actor, now=now)
