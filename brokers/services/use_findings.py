"""The finding that nobody uses what a rule allows. Where that is not known for sure, there is none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from acl.core.suggestions import Suggestion, SuggestionKind
from brokers.services.suggesting import UNUSED_DAYS, suggest_changes
from devices.queries import list_domains
from kernel.core.findings import Finding, Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject

UNUSED = "permission-unused"


class UseFindings:
    """What needs attention about permissions that nobody used for 30 days."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code with its severity."""
        return [(UNUSED, Severity.INFO)]

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterator[Finding]:
        """One for each role that has such rules."""
        for domain in list_domains():
            if domains is not None and domain.id not in domains:
                continue
            by_role: dict[str, list[Suggestion]] = {}
            for each in suggest_changes(domains=[domain.id], now=now).suggested:
                if each.kind is SuggestionKind.DROP:
                    by_role.setdefault(each.role.name, []).append(each)
            for unused in by_role.values():
                yield _finding(unused)


def _finding(unused: list[Suggestion]) -> Finding:
    role = unused[0].role
    shown = ", ".join(each.rule.topic[:80] for each in unused[:3])
    more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
    what = "this rule lets" if len(unused) == 1 else "each of these rules lets"
    return Finding(
        code=UNUSED,
        severity=Severity.INFO,
        subject=Subject(kind="acl.role", id=str(role.id), label=role.name),
        domain=role.domain,
        detail=f"{shown}{more}: in {UNUSED_DAYS} days nobody did what {what} them do.",
        remedy="Look at the suggestions on the role's page: one click makes a draft without what nobody uses.",
    )
