"""Ids: UUID version 7 (RFC 9562), so that keys of new rows stand together in an index."""

from __future__ import annotations

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

from kernel.core.errors import NotFound

DomainId = NewType("DomainId", UUID)
EntryId = NewType("EntryId", UUID)


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def parse_id(text: str, *, what: str) -> UUID:
    """The UUID that `text` spells. Raises NotFound, since no `what` can have another id."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(f"There is no {what} with the id {text[:64]!r}.") from error
