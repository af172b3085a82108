"""The place in a list where a page ended, as opaque text: base64url (RFC 4648 5) of JSON, without padding."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from kernel.core.errors import FieldError, Invalid
from kernel.core.journal import Unstorable, require_storable

_MAX_CHARACTERS = 1_024
_BEYOND_NUMBERS = 2**63
Id = TypeVar("Id")


class WrongCursor(Invalid):
    """The text is no cursor of ours."""

    code = "invalid-cursor"


def encode(place: Sequence[str | int | float | bool | None]) -> str:
    """The sort key of a page's last row as text that fits into a URL."""
    text = json.dumps(list(place), separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> list[Any]:
    """What `encode` was given. The caller checks count and types of the values. Raises WrongCursor."""
    try:
        if len(text) > _MAX_CHARACTERS:
            raise ValueError("too long")
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        place = json.loads(raw.decode())
        if not isinstance(place, list):
            raise TypeError("not a list")
        require_storable(place)  # it is compared with what the database keeps
    except (ValueError, TypeError, binascii.Error, RecursionError, Unstorable) as error:
        raise _wrong() from error
    return place


def decode_id(text: str | None, to: Callable[[UUID], Id]) -> Id | None:
    """The one id that says where a page ended; None without a cursor. Raises WrongCursor."""
    if not text:
        return None
    match decode(text):
        case [str(id)]:
            return to(_uuid(id))
    raise _wrong()


def decode_named(text: str | None, to: Callable[[UUID], Id]) -> tuple[str, Id] | None:
    """The name and the id that say where a page ended; None without a cursor. Raises WrongCursor."""
    if not text:
        return None
    match decode(text):
        case [str(name), str(id)]:
            return name, to(_uuid(id))
    raise _wrong()


def decode_number(text: str | None) -> int | None:
    """The positive number that says where a page ended; None without a cursor. Raises WrongCursor."""
    if not text:
        return None
    match decode(text):
        case [int(number)] if 0 < number < _BEYOND_NUMBERS:
            return number
    raise _wrong()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise _wrong() from error


def _wrong() -> WrongCursor:
    fault = FieldError(pointer="/cursor", code=WrongCursor.code, detail="Leave it out to begin again.")
    return WrongCursor("The cursor is none of ours: begin again without one.", errors=(fault,))
