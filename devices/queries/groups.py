"""Groups: lists, one of them, and what a query would find."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import OperationalError, connection, transaction
from django.db.models import Count

from devices.core.values import GroupId
from devices.models import Device, DeviceQuerySet, Group
from devices.queries.devices import APPROXIMATE_FROM
from devices.queries.group_sql import matching
from kernel.core.errors import NotFound, Unavailable
from kernel.core.ids import DomainId

_SAMPLE = 10
_LONGEST = "5s"
_CANCELLED = "57014"  # PostgreSQL's query_canceled


class UnknownGroup(NotFound):
    """There is no such group."""

    code = "group-unknown"


class SlowPreview(Unavailable):
    """The query takes the database too long to be tried."""

    code = "group-preview-slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A group; `query` is empty if its members were chosen."""

    id: GroupId
    domain: DomainId
    domain_slug: str
    name: str
    query: str
    member_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SomeDevices:
    """How many devices, counted up to 10,000, and the names of the first by name."""

    approximate_count: int
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPreview:
    """What a query finds, and who would join and leave the group for it; all join where there is none yet."""

    found: SomeDevices
    joining: SomeDevices
    leaving: SomeDevices


def unknown_group() -> UnknownGroup:
    """The error that there is no such group."""
    return UnknownGroup("There is no such group: list the groups to see those there are.")


def list_groups(
    *, domains: Collection[DomainId], after: tuple[str, GroupId] | None = None, limit: int | None = None
) -> list[GroupRow]:
    """The groups of the domains by (name, id), beyond `after` only, at most `limit`."""
    rows = Group.objects.filter(domain_id__in=domains)
    if after is not None:
        name, group = after
        rows = rows.filter(name__gte=name).exclude(name=name, id__lte=group)
    counted = rows.annotate(size=Count("members")).order_by("name", "id").select_related("domain")
    return [_group_row(row, row.size) for row in counted[:limit]]


def count_groups(*, domains: Collection[DomainId]) -> int:
    """How many groups the domains have."""
    return Group.objects.filter(domain_id__in=domains).count()


def get_group(*, group: GroupId, domains: Collection[DomainId]) -> GroupRow:
    """The group, in one of the domains. Raises UnknownGroup."""
    row = Group.objects.select_related("domain").filter(id=group, domain_id__in=domains).first()
    if row is None:
        raise unknown_group()
    return _group_row(row, row.members.count())


def preview_query(*, domain: DomainId, query: str, group: GroupId | None = None) -> QueryPreview:
    """What the query finds in the domain now, and would do to `group`. Raises BadQuery, SlowPreview."""
    found = matching(domain=domain, query=query)
    members = Device.objects.filter(groups=group) if group else Device.objects.none()
    with _not_for_long():
        some = _some(found)
        return QueryPreview(
            found=some,
            joining=_some(found.exclude(id__in=members.values("id"))) if group else some,
            leaving=_some(members.exclude(id__in=found.values("id"))),
        )


@contextmanager
def _not_for_long() -> Iterator[None]:
    """Has PostgreSQL give each statement up after five seconds: a preview is asked for at each key that is typed."""
    if connection.vendor != "postgresql":
        yield
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [_LONGEST])
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != _CANCELLED:
            raise
        raise SlowPreview("The query takes too long to be tried on so many devices: shorten it.") from error


def _some(rows: DeviceQuerySet) -> SomeDevices:
    return SomeDevices(
        approximate_count=int(rows.order_by()[:APPROXIMATE_FROM].count()),
        sample=tuple(rows.order_by("name").values_list("name", flat=True)[:_SAMPLE]),
    )


def _group_row(row: Group, size: int) -> GroupRow:
    return GroupRow(
        id=GroupId(row.id),
        domain=DomainId(row.domain_id),
        domain_slug=row.domain.slug,
        name=row.name,
        query=row.query,
        member_count=size,
    )
