"""The place in a list where a page ended, as opaque text: base64url (RFC 4648 5) of JSON, without padding."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kernel.core.errors import FieldError, Invalid

_MAX_CHARACTERS = 1_024


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
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        fault = FieldError(pointer="/cursor", code=WrongCursor.code, detail="Leave it out to begin again.")
        raise WrongCursor("The cursor is none of ours: begin again without one.", errors=(fault,)) from error
    return place


def decode_id(text: str | None) -> UUID | None:
    """The one id that says where a page ended; None without a cursor. Raises WrongCursor."""
    if not text:
        return None
    try:
        [place] = decode(text)
        return UUID(str(place))
    except ValueError as error:
        raise WrongCursor("The cursor is none of ours: begin again without one.") from error
