"""Pages of a list by keyset: where the next page begins, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest

from kernel.core import cursor
from kernel.core.errors import Invalid

SIZES = (25, 50, 100)
_LONGEST_TRAIL = 40


class UnknownFilter(Invalid):
    """The address asks for something that the list can not be narrowed by."""

    code = "unknown-parameter"


class DamagedPlace(Invalid):
    """The address names no place in the list."""

    code = "invalid-cursor"

    def __init__(self) -> None:
        super().__init__("The page's address is damaged: begin again from the first page.")


def to_uuid(text: str) -> UUID:
    """The id that a cursor holds. Raises DamagedPlace."""
    try:
        return UUID(text)
    except ValueError as error:
        raise DamagedPlace from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """The foot of a list; an address is empty where there is no such page."""

    words: str
    previous: str
    next: str
    sizes: Sequence[tuple[int, str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a list a request stands. `trail` holds the cursors of the pages before, the first page's is empty."""

    size: int
    cursor: str
    trail: tuple[str, ...]
    filters: Mapping[str, str]

    @property
    def key(self) -> list[Any] | None:
        """The sort key of the row before the page; None on the first page. Raises WrongCursor."""
        return cursor.decode(self.cursor) if self.cursor else None

    def uuid_key(self) -> UUID | None:
        """The key, where it is one id. Raises DamagedPlace."""
        match self.key:
            case None:
                return None
            case [str(text)]:
                return to_uuid(text)
        raise DamagedPlace

    def name_key(self) -> tuple[str, UUID] | None:
        """The key, where it is a name and an id. Raises DamagedPlace."""
        match self.key:
            case None:
                return None
            case [str(name), str(text)]:
                return name, to_uuid(text)
        raise DamagedPlace

    def number_key(self) -> int | None:
        """The key, where it is one positive number. Raises DamagedPlace."""
        match self.key:
            case None:
                return None
            case [int(number)] if number > 0:
                return number
        raise DamagedPlace

    def pager(self, *, shown: int, next_key: Sequence[Any] | None, noun: str, about: int | None = None) -> Pager:
        """The foot of a page of `shown` rows; `next_key` is the last row's sort key if there are more.

        `noun` is what they are, more than one of them.
        """
        following = cursor.encode(next_key) if next_key is not None else ""
        number = len(self.trail) + 1
        words = f"{shown} {_one(noun) if shown == 1 else noun}"
        if number > 1 or following:
            words = f"Page {number}, {words}"
        if about is not None and (following or number > 1):
            words += f" of about {about:,}"
        return Pager(
            words=words,
            previous=self._address(self.trail[-1], self.trail[:-1]) if self.trail else "",
            next=self._address(following, (*self.trail, self.cursor)) if following else "",
            sizes=[(size, self._address("", (), size=size), size == self.size) for size in SIZES],
        )

    def _address(self, place: str, trail: tuple[str, ...], *, size: int | None = None) -> str:
        values = {name: value for name, value in self.filters.items() if value}
        chosen = size or self.size
        if chosen != SIZES[0]:
            values["size"] = str(chosen)
        if place:
            values["cursor"] = place
        if trail:
            values["trail"] = ".".join(trail[-_LONGEST_TRAIL:])
        return "?" + urlencode(values)


def place_of(request: HttpRequest, *filters: str) -> Place:
    """The request's place in a list that has those filters. Raises UnknownFilter: a list never leaves one out."""
    asked = request.GET
    if unknown := sorted(set(asked) - {*filters, "size", "cursor", "trail"}):
        known = ", ".join(filters) or "none"
        raise UnknownFilter(f"This list can not be narrowed by {unknown[0][:40]!r}, only by: {known}.")
    size = asked.get("size", "")
    trail = asked.get("trail")
    return Place(
        size=int(size) if size in {str(known) for known in SIZES} else SIZES[0],
        cursor=asked.get("cursor", ""),
        trail=tuple(trail.split(".")) if trail is not None else (),
        filters={name: asked.get(name, "").strip()[:200] for name in filters},
    )


def _one(noun: str) -> str:
    """The singular of a noun."""
    return noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")
