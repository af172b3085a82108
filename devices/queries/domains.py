"""Domains and device types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from devices.core.values import Domain
from devices.models import DeviceType
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


def list_device_types(*, domains: Collection[DomainId]) -> list[tuple[str, str, str, Mapping[str, Any]]]:
    """(id, domain's slug, name, schema) of each device type, by name."""
    rows = DeviceType.objects.filter(domain_id__in=domains).select_related("domain").order_by("name", "id")
    return [(str(row.id), row.domain.slug, row.name, row.schema) for row in rows]
