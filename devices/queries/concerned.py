"""Which devices a change of policy could touch: found by the database, since fleets may be large and changes small."""

from __future__ import annotations

from functools import reduce
from operator import or_

from django.db.models import Exists, OuterRef, Q

from devices.core.group_query import parse
from devices.core.policy_document import BindingVia, PolicyDocument, bindings_at_work, differences
from devices.core.values import DeviceId, DeviceState
from devices.models import Device, DeviceQuerySet
from devices.queries.devices import APPROXIMATE_FROM
from devices.queries.group_sql import condition
from kernel.core.ids import DomainId

NOBODY = Q(pk__in=())


def concerned_devices(
    *, domain: DomainId, before: PolicyDocument, after: PolicyDocument, limit: int
) -> tuple[list[DeviceId], int]:
    """The first by auth id, at most `limit`, whose roles differ between the documents; and how many there are.

    They are counted up to 10,000 and no further. Others gain and lose nothing.
    """
    rows = _concerned(domain, before, after)
    ids = rows.order_by("auth_id").values_list("id", flat=True)[:limit]
    return [DeviceId(id) for id in ids], int(rows.order_by()[:APPROXIMATE_FROM].count())


def _concerned(domain: DomainId, before: PolicyDocument, after: PolicyDocument) -> DeviceQuerySet:
    difference = differences(before, after)
    queries = _Queries(before, after)
    targets: dict[BindingVia, set[str]] = {via: set() for via in BindingVia}
    for binding in bindings_at_work(before, after):
        targets[binding.via].add(binding.target)
    reached = (_reached(targets, queries) | queries.moved()) & Q(state=DeviceState.ACTIVE)
    quarantine = {before.quarantine_role, after.quarantine_role}
    if difference.quarantine_role is not None or quarantine & difference.role_names:
        reached |= Q(state=DeviceState.QUARANTINED)
    return Device.objects.filter(reached, domain_id=domain)


class _Queries:
    """The groups by query of the two documents: both say who is in them, and not the register."""

    def __init__(self, before: PolicyDocument, after: PolicyDocument) -> None:
        self._documents = before, after
        self._sides = tuple({group.name: group.query for group in each.groups} for each in (before, after))

    def reaching(self, groups: set[str]) -> Q:
        """Devices in one of the groups, as either document has it."""
        queries = {side[name] for side in self._sides for name in groups if side.get(name)}
        chosen = {name for name in groups if any(not side.get(name, " ") for side in self._sides)}
        member = Device.groups.through.objects.filter(device_id=OuterRef("pk"), group__name__in=sorted(chosen))
        return reduce(or_, map(_asked, sorted(queries)), Q(Exists(member)) if chosen else NOBODY)

    def moved(self) -> Q:
        """Devices that join or leave a group with a role, its query being another."""
        bound = {each.target for one in self._documents for each in one.bindings if each.via is BindingVia.GROUP}
        old, new = self._sides
        moves = (
            _asked(old[name]) ^ _asked(new[name])
            for name in sorted(bound & old.keys() & new.keys())
            if old[name] and new[name] and old[name] != new[name]
        )
        return reduce(or_, moves, NOBODY)


def _asked(query: str) -> Q:
    return Q(condition(parse(query)), device_type__isnull=False)


def _reached(targets: dict[BindingVia, set[str]], queries: _Queries) -> Q:
    if targets[BindingVia.DOMAIN]:
        return Q(pk__isnull=False)
    found = Q(name__in=sorted(targets[BindingVia.DEVICE] | targets[BindingVia.APPLICATION]))
    found |= Q(device_type__name__in=sorted(targets[BindingVia.DEVICE_TYPE]))
    return found | queries.reaching(targets[BindingVia.GROUP])
