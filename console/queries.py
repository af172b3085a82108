"""Reads of the console's own tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from console.core.roles import ROLE_SCOPES
from console.models import Application, Membership, Operator
from kernel.core.ids import DomainId

_CHUNK = 500


def list_applications(*, domains: Collection[DomainId], after: int = 0, limit: int = 100) -> Sequence[Application]:
    """Applications that reach no further than `domains`, by rising key, from beyond `after`; at most `limit`."""
    own = {str(domain) for domain in domains}
    found: list[Application] = []
    while len(found) < limit:
        rows = list(
            Application.objects.filter(pk__gt=after, revoked_at=None, every_domain=False).order_by("pk")[:_CHUNK]
        )
        found += [row for row in rows if set(row.domain_ids) & own]
        if len(rows) < _CHUNK:
            break
        after = rows[-1].pk
    return found[:limit]


def find_operator(*, username: str) -> Operator | None:
    """The operator of that user name, or None."""
    return Operator.objects.filter(username=username.strip().lower()).first()


def operators_with(scope: str, *, domain: DomainId, among: Collection[str]) -> frozenset[str]:
    """The ids, of these, of active operators whose role in the domain holds the scope; what is no id is nobody's."""
    roles = [role.value for role, scopes in ROLE_SCOPES.items() if scope in scopes]
    ids = [id for text in among if (id := _uuid(text))]
    rows = Membership.objects.filter(
        domain_id=domain, role__in=roles, operator_id__in=ids, operator__is_active=True
    ).values_list("operator_id", flat=True)
    return frozenset(str(id) for id in rows)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
