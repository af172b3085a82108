"""What a lint says: findings with a severity, a stable code, and the section of the standard that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error stops issuance; a warning is for people to look at; a notice tells what is unusual."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One thing that is not as it should be. `text` is the end of a sentence that begins with the certificate."""

    severity: Severity
    code: str
    section: str
    text: str
    source: str = "gatehouse"

    def __str__(self) -> str:
        return f"{self.text} ({self.section})" if self.section else self.text


def error(code: str, section: str, text: str) -> LintFinding:
    """A finding that stops issuance."""
    return LintFinding(severity=Severity.ERROR, code=code, section=section, text=text)


def warning(code: str, section: str, text: str) -> LintFinding:
    """A finding for people to look at."""
    return LintFinding(severity=Severity.WARNING, code=code, section=section, text=text)


def notice(code: str, section: str, text: str) -> LintFinding:
    """A finding that tells what is unusual."""
    return LintFinding(severity=Severity.NOTICE, code=code, section=section, text=text)
