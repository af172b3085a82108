"""Domains, and what they are ordered by: types and groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Count

from devices.core.values import Domain, GroupId
from devices.models import DeviceType, Group
from devices.models import Domain as DomainRow
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from pki.core.values import IssuerId


class UnknownDomain(NotFound):
    """There is no such domain."""

    code = "domain-unknown"


def list_domains() -> list[Domain]:
    """Every domain, by slug."""
    return [row.as_value() for row in DomainRow.objects.order_by("slug")]


def get_domain(*, slug: str = "", id: DomainId | None = None) -> Domain:
    """The domain of that slug or id. Raises UnknownDomain."""
    row = DomainRow.objects.filter(id=id).first() if id else DomainRow.objects.filter(slug=slug).first()
    if row is None:
        raise UnknownDomain(f"There is no domain {slug or id}.")
    return row.as_value()


def issuer_of(*, domain: DomainId) -> IssuerId | None:
    """The CA that the domain's certificates come from, or None while none is set."""
    found = DomainRow.objects.values_list("issuer_id", flat=True).get(id=domain)
    return IssuerId(found) if found else None


def list_groups(*, domains: Collection[DomainId]) -> list[tuple[str, str, str, int]]:
    """(id, domain's slug, name, number of members) of each group, by name."""
    rows = Group.objects.filter(domain_id__in=domains).annotate(size=Count("members")).order_by("name", "id")
    return [(str(row.id), row.domain.slug, row.name, row.size) for row in rows.select_related("domain")]


def group_exists(*, group: GroupId, domains: Collection[DomainId]) -> bool:
    """Whether there is such a group in one of the domains."""
    return Group.objects.filter(id=group, domain_id__in=domains).exists()


def list_device_types(*, domains: Collection[DomainId]) -> list[tuple[str, str, str, Mapping[str, Any]]]:
    """(id, domain's slug, name, schema) of each device type, by name."""
    rows = DeviceType.objects.filter(domain_id__in=domains).select_related("domain").order_by("name", "id")
    return [(str(row.id), row.domain.slug, row.name, row.schema) for row in rows]
