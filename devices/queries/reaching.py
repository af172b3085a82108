"""Which devices a condition on policy applies to: counted and sampled by the database, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from acl.core.analysis_conditions import NEVER, Condition, Every, Held, Not, Safe, Same, Some, without_roles
from acl.core.values import RoleId
from devices.core.values import BindingId, DeviceId, DeviceState, DeviceSubject
from devices.models import Binding, Device, DeviceQuerySet
from devices.queries.bindings import BindingRow, binding_row
from devices.queries.placeholder_sql import is_safe, same_text
from devices.queries.subjects import subjects_among
from kernel.core.ids import DomainId

_EVERYONE = Q(pk__isnull=False)
_MEMORY = "96MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fellows:
    """Devices that belong together: `via` is device, group, device_type or domain, `id` that of it."""

    via: str
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Devices of a domain to whom the condition applies: those that are active, or in that state.

    A quarantined device has the quarantine role alone, so what a condition says of roles is said of just that one.
    `among` narrows it to those who belong together.
    """

    domain: DomainId
    condition: Condition
    quarantine_role: RoleId | None = None
    among: Fellows | None = None

    @property
    def nobody(self) -> bool:
        """Whether that is plain without looking at devices."""
        return self.condition == NEVER


def count_reached(reached: Reached, *, binding: BindingId | None = None) -> int:
    """How many they are, exactly; those that the binding gives its role to, if one is given."""
    if reached.nobody:
        return 0
    with roomy():
        return reached_rows(reached, binding=binding).count()


def any_reached(reached: Reached, *, binding: BindingId | None = None) -> bool:
    """Whether there is one."""
    return not reached.nobody and reached_rows(reached, binding=binding).exists()


def sample_reached(reached: Reached, *, limit: int) -> list[DeviceId]:
    """The first by auth id, at most `limit`."""
    if reached.nobody:
        return []
    rows = reached_rows(reached).order_by("auth_id").values_list("id", flat=True)
    return [DeviceId(id) for id in rows[:limit]]


def reached_subjects(reached: Reached, *, limit: int) -> Iterator[DeviceSubject]:
    """The first by auth id with their policies, at most `limit`."""
    yield from subjects_among(devices=sample_reached(reached, limit=limit))


def bindings_at_work(reached: Reached, *, role: RoleId, limit: int) -> list[BindingRow]:
    """The bindings of the role that give it to at least one of the devices, at most `limit`.

    Those to groups, types and the domain stand in front of those to single devices.
    """
    if reached.condition == NEVER or reached.quarantine_role:
        return []
    rows = Binding.objects.filter(role_id=role, domain_id=reached.domain).order_by("id")
    rows = rows.select_related("device", "group", "device_type", "domain")
    found = [row for row in rows.filter(device=None) if any_reached(reached, binding=BindingId(row.id))][:limit]
    found += rows.filter(device__in=reached_rows(reached))[: limit - len(found)]
    return list(map(binding_row, found))


def reached_rows(reached: Reached, *, binding: BindingId | None = None) -> DeviceQuerySet:
    """The devices; their order is for the caller."""
    condition = reached.condition
    rows = Device.objects.filter(domain_id=reached.domain).order_by()
    if reached.quarantine_role:
        condition = without_roles(condition, [reached.quarantine_role])
        rows = rows.filter(state=DeviceState.QUARANTINED)
    else:
        rows = rows.filter(state=DeviceState.ACTIVE)
    if reached.among is not None:
        rows = rows.filter(_belongs(reached.among))
    if binding is not None:
        rows = rows.filter(bound_by(Binding.objects.filter(pk=binding, domain_id=reached.domain)))
    return rows.filter(_Translation(reached.domain).of(condition))


def _belongs(fellows: Fellows) -> Q:
    match fellows.via:
        case "device":
            return Q(pk=fellows.id)
        case "device_type":
            return Q(device_type_id=fellows.id)
        case "group":
            return Q(Exists(Device.groups.through.objects.filter(device_id=OuterRef("pk"), group_id=fellows.id)))
        case _:
            return Q(domain_id=fellows.id)


class _Translation:
    """Conditions as conditions of a query; who has which roles is looked up once."""

    def __init__(self, domain: DomainId) -> None:
        self._domain = domain
        self._held: dict[frozenset[RoleId], Q] = {}

    def of(self, condition: Condition) -> Q:
        """What the database is asked."""
        match condition:
            case Same():
                return same_text(condition)
            case Safe():
                return is_safe(condition)
            case Held(roles):
                return self._holders(roles)
            case Every(of):
                return reduce(and_, map(self.of, _cheapest_first(of)), _EVERYONE)
            case Some(of):
                return reduce(or_, map(self.of, _cheapest_first(of)), ~_EVERYONE)
            case Not(of):
                return ~self.of(of)

    def _holders(self, roles: frozenset[RoleId]) -> Q:
        if roles not in self._held:
            self._held[roles] = bound_by(Binding.objects.filter(role_id__in=roles, domain_id=self._domain))
        return self._held[roles]


def _cheapest_first(conditions: Iterable[Condition]) -> list[Condition]:
    """In a stable order, with what an index answers in front."""
    kinds = (Same, Held, Every, Some, Safe, Not)
    return sorted(conditions, key=lambda one: (kinds.index(type(one)), repr(one)))


def bound_by(bindings: QuerySet[Binding]) -> Q:
    """That one of the bindings reaches a device. Those to single devices may be many, the others are few."""
    wide = bindings.filter(device=None).order_by().values_list("whole_domain", "device_type_id", "group_id")
    types, groups = set(), set()
    for whole_domain, device_type, group in wide:
        if whole_domain:
            return _EVERYONE
        types |= {device_type} - {None}
        groups |= {group} - {None}
    found = Q(device_type_id__in=types) if types else ~_EVERYONE
    if groups:
        members = Device.groups.through.objects.filter(device_id=OuterRef("pk"), group_id__in=groups)
        found |= Q(Exists(members))
    if bindings.filter(device__isnull=False).exists():
        found |= Q(Exists(bindings.filter(device_id=OuterRef("pk"))))
    return found


@contextmanager
def roomy() -> Iterator[None]:
    """Lets PostgreSQL keep a set of a million devices in memory instead of asking for each of them again."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true), set_config('jit', 'off', true)", [_MEMORY])
        yield
