"""Which devices a condition on policy applies to: counted and sampled by the database, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, reduce
from operator import and_, or_
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from acl.core.analysis_conditions import NEVER, Condition, Every, Held, Not, Safe, Same, Some, without_roles
from acl.core.values import RoleId
from devices.core.values import DeviceId, DeviceState, DeviceSubject, PrincipalKind
from devices.models import Binding, Device, DeviceQuerySet
from devices.queries.bindings import BindingRow, binding_row
from devices.queries.placeholder_sql import is_safe, same_text
from devices.queries.subjects import subjects_among
from kernel.core.ids import DomainId

_EVERYONE = Q(pk__isnull=False)
_MEMORY = "96MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fellows:
    """Devices that belong together: `via` is device, application, group, device_type or domain, `id` that of it."""

    via: str
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Devices of a domain to whom the condition applies at that moment: those that are active, or in that state.

    A quarantined device has the quarantine role alone, so what a condition says of roles is said of just that one.
    `among` narrows it to those who belong together.
    """

    domain: DomainId
    condition: Condition
    now: datetime
    quarantine_role: RoleId | None = None
    among: Fellows | None = None

    @property
    def nobody(self) -> bool:
        """Whether that is plain without looking at devices."""
        return self.condition == NEVER


def count_reached(reached: Reached) -> int:
    """How many they are, exactly."""
    if reached.nobody:
        return 0
    with roomy():
        return reached_rows(reached).count()


def any_reached(reached: Reached) -> bool:
    """Whether there is one."""
    return not reached.nobody and reached_rows(reached).exists()


def sample_reached(reached: Reached, *, limit: int) -> list[DeviceId]:
    """The applications, then the devices, each the first by auth id; at most `limit`."""
    if reached.nobody:
        return []
    rows, found = reached_rows(reached).order_by("auth_id"), list[DeviceId]()
    for kind in (PrincipalKind.APPLICATION, PrincipalKind.DEVICE):
        ids = rows.of_kind(kind).values_list("id", flat=True)
        found += map(DeviceId, ids[: limit - len(found)])
    return found


def reached_subjects(reached: Reached, *, limit: int) -> Iterator[DeviceSubject]:
    """Those of `sample_reached` with their policies, by auth id, at most `limit`."""
    yield from subjects_among(devices=sample_reached(reached, limit=limit), now=reached.now, before_rollout=True)


def bindings_at_work(reached: Reached, *, role: RoleId, limit: int) -> list[BindingRow]:
    """The bindings of the role that give it to at least one of the devices, at most `limit`.

    Those to groups, types and the domain stand in front of those to single devices.
    """
    if reached.condition == NEVER or reached.quarantine_role:
        return []
    theirs = reached_rows(reached)
    rows = Binding.objects.filter(role_id=role, domain_id=reached.domain).in_force(now=reached.now).order_by("id")
    rows = rows.select_related("device", "group", "device_type", "domain")
    in_group = Device.groups.through.objects.filter(device_id=OuterRef("pk"), group_id=OuterRef(OuterRef("group_id")))
    found = rows.filter(
        Q(whole_domain=True) & Exists(theirs)
        | Q(device_type__isnull=False) & Exists(theirs.filter(device_type_id=OuterRef("device_type_id")))
        | Q(group__isnull=False) & Exists(theirs.filter(Exists(in_group)))
    )
    first = list(map(binding_row, found[:limit]))
    return first + list(map(binding_row, rows.filter(device__in=theirs)[: limit - len(first)]))


def reached_rows(reached: Reached) -> DeviceQuerySet:
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
    return rows.filter(_Translation(reached).of(condition))


def _belongs(fellows: Fellows) -> Q:
    match fellows.via:
        case "device" | "application":
            return Q(pk=fellows.id)
        case "device_type":
            return Q(device_type_id=fellows.id)
        case "group":
            return Q(Exists(Device.groups.through.objects.filter(device_id=OuterRef("pk"), group_id=fellows.id)))
        case _:
            return Q(domain_id=fellows.id)


class _Translation:
    """Conditions as conditions of a query. Who has which roles is looked up once; bindings to devices may be many."""

    def __init__(self, reached: Reached) -> None:
        self._bindings = Binding.objects.filter(domain_id=reached.domain).in_force(now=reached.now).order_by()

    @cached_property
    def _wide(self) -> list[tuple[UUID, bool, UUID | None, UUID | None]]:
        kept = self._bindings.filter(device=None)
        return list(kept.values_list("role_id", "whole_domain", "device_type_id", "group_id"))

    @cached_property
    def _single(self) -> set[UUID]:
        """The roles that are bound to single devices."""
        return set(self._bindings.filter(device__isnull=False).values_list("role_id", flat=True).distinct())

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
                return _some(map(self.of, _cheapest_first(of)))
            case Not(of):
                return ~self.of(of)

    def _holders(self, roles: frozenset[RoleId]) -> Q:
        """That one of the roles is bound to a device, in whatever way."""
        wide = [each for each in self._wide if each[0] in roles]
        if any(whole_domain for _, whole_domain, _, _ in wide):
            return _EVERYONE
        types = sorted({kind for _, _, kind, _ in wide if kind})
        groups = sorted({group for _, _, _, group in wide if group})
        found = [Q(device_type_id__in=types)] if types else []
        if groups:
            members = Device.groups.through.objects.filter(device_id=OuterRef("pk"), group_id__in=groups)
            found.append(Q(Exists(members)))
        if single := roles & self._single:
            found.append(Q(Exists(self._bindings.filter(device_id=OuterRef("pk"), role_id__in=single))))
        return _some(found)


def _some(conditions: Iterable[Q]) -> Q:
    """That one of them is true. One alone is no disjunction, so that the database may join with what it asks."""
    return reduce(or_, conditions, Q()) or ~_EVERYONE


def _cheapest_first(conditions: Iterable[Condition]) -> list[Condition]:
    """In a stable order, with what an index answers in front."""
    kinds = (Same, Held, Every, Some, Safe, Not)
    return sorted(conditions, key=lambda one: (kinds.index(type(one)), repr(one)))


@contextmanager
def roomy() -> Iterator[None]:
    """Lets PostgreSQL keep a set of a million devices in memory instead of asking for each of them again."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true), set_config('jit', 'off', true)", [_MEMORY])
        yield
