"""The errors of the domain. They name what is wrong and what to do; none knows HTTP.

`console/api/problems.py` is the one table that turns them into RFC 9457 documents.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One wrong value of the input. `pointer` is a JSON pointer (RFC 6901) into it."""

    pointer: str
    code: str
    detail: str


class DomainError(Exception):
    """Something the caller has to know. `code` is stable and kebab-case, `detail` a sentence that says what to do."""

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = errors


class Invalid(DomainError):
    """The input can not be accepted as it is."""

    code = "invalid"


class NotFound(DomainError):
    """There is no such thing, or none that the actor may know of."""

    code = "not-found"


class Conflict(DomainError):
    """The input is fine, and the present state forbids it."""

    code = "conflict"


class Superseded(Conflict):
    """It was changed since the actor read it (If-Match, RFC 9110 13.1.1): read it again, then change it."""

    code = "version-mismatch"


class Unconditional(DomainError):
    """It is changed by those alone who say which state of it they have read (RFC 6585 3)."""

    code = "if-match-required"


class Denied(DomainError):
    """The actor is known and may not do this."""

    code = "denied"


class Unauthenticated(DomainError):
    """The actor has not proved who it is."""

    code = "unauthenticated"


class RateLimited(DomainError):
    """Too much at once; `retry_after_seconds` says when to come back."""

    code = "rate-limited"

    def __init__(self, detail: str, *, retry_after_seconds: int = 1, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(DomainError):
    """Something outside does not answer; trying again later is right."""

    code = "unavailable"
