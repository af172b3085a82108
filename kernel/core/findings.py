"""Findings: what needs somebody's attention, why, and what to do. Each app finds its own; the console shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from kernel.core.ids import DomainId
from kernel.core.journal import Subject


class Severity(StrEnum):
    """How bad it is: `critical` hurts or lets in now, `error` soon, `warning` at some time, `info` is worth knowing."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be. `domain` is None if it is about the whole installation.

    `detail` says what is the matter, `remedy` what to do; `since` is None where nobody knows.
    """

    code: str
    severity: Severity
    subject: Subject
    domain: DomainId | None
    detail: str
    remedy: str
    since: datetime | None = None

    @property
    def id(self) -> str:
        """32 hex digits, the same for as long as the same is the matter with the same subject."""
        text = "\0".join([self.code, str(self.domain or ""), self.subject.kind, self.subject.id])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def order(self) -> tuple[int, str, str]:
        """The worst first, then by code, then by id."""
        return self.severity.rank, self.code, self.id


class FindingSource(Protocol):
    """One app's watch over its own things. Reads only, and little: it is asked with each look at the console."""

    @property
    def codes(self) -> Iterable[tuple[str, Severity]]:
        """Every code that it may find, and how bad that is."""
        ...

    def find(self, *, domains: Collection[DomainId] | None, now: datetime) -> Iterable[Finding]:
        """What is the matter in these domains (in all, if None) and with the installation."""
        ...
