"""Which devices a change of policy could touch: found by the database, since fleets may be large and changes small."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from devices.core.policy_document import BindingVia, PolicyDocument, differences
from devices.core.values import DeviceId, DeviceState
from devices.models import Device, DeviceQuerySet
from devices.queries.devices import APPROXIMATE_FROM
from kernel.core.ids import DomainId


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
    roles = {role.name for role in (*difference.roles_added, *difference.roles_removed)}
    roles |= {changed.name for changed in difference.roles_changed}
    moved = {*difference.bindings_added, *difference.bindings_removed}
    moved |= {change.after for change in difference.bindings_changed}
    at_work = {each for each in (*before.bindings, *after.bindings) if each.role in roles} | moved
    targets: dict[BindingVia, set[str]] = {via: set() for via in BindingVia}
    for binding in at_work:
        targets[binding.via].add(binding.target)
    reached = _reached(targets) & Q(state=DeviceState.ACTIVE)
    quarantine = {before.quarantine_role, after.quarantine_role}
    if difference.quarantine_role is not None or quarantine & roles:
        reached |= Q(state=DeviceState.QUARANTINED)
    return Device.objects.filter(reached, domain_id=domain)


def _reached(targets: dict[BindingVia, set[str]]) -> Q:
    if targets[BindingVia.DOMAIN]:
        return Q(pk__isnull=False)
    groups = Device.groups.through.objects.filter(
        device_id=OuterRef("pk"), group__name__in=sorted(targets[BindingVia.GROUP])
    )
    found = Q(name__in=sorted(targets[BindingVia.DEVICE] | targets[BindingVia.APPLICATION]))
    found |= Q(device_type__name__in=sorted(targets[BindingVia.DEVICE_TYPE]))
    return found | Q(Exists(groups)) if targets[BindingVia.GROUP] else found
