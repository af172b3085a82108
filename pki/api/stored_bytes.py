"""Serving stored bytes: conditional requests (RFC 9110 13) and ranges (RFC 9110 14)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Protocol

Environ = dict[str, Any]
Headers = tuple[tuple[str, str], ...]
_MAX_AGE_SECONDS = 300
_PIECE_OCTETS = 1 << 20


class Body(Protocol):
    """Octets that are read a piece at a time, and perhaps made only then."""

    def __len__(self) -> int: ...

    def read(self, first: int, end: int) -> bytes:
        """The octets from `first` up to, and without, `end`."""
        ...


@dataclass(frozen=True, slots=True)
class Octets:
    """Octets that are there already."""

    octets: bytes

    def __len__(self) -> int:
        return len(self.octets)

    def read(self, first: int, end: int) -> bytes:
        """A copy of a part; of all, no copy."""
        return self.octets[first:end]


@dataclass(frozen=True, slots=True)
class Joined:
    """Several bodies, one after another."""

    bodies: tuple[Body, ...]

    def __len__(self) -> int:
        return sum(map(len, self.bodies))

    def read(self, first: int, end: int) -> bytes:
        """From each body its part."""
        parts, begin = [], 0
        for body in self.bodies:
            size = len(body)
            if first < begin + size and end > begin:
                parts.append(body.read(max(first - begin, 0), min(end - begin, size)))
            begin += size
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a body, given out in pieces, so that a CRL of 50 MB is not copied for each peer that reads it."""

    body: Body
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    def __iter__(self) -> Iterator[bytes]:
        for at in range(self.first, self.end, _PIECE_OCTETS):
            yield self.body.read(at, min(at + _PIECE_OCTETS, self.end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back."""

    status: str = "200 OK"
    body: bytes | Stretch = b""
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Stored bytes with what conditional and range requests need."""

    body: Body
    etag: str
    content_type: str
    modified_at: datetime
    expires_at: datetime


def etag_of(body: bytes) -> str:
    """A strong entity tag: SHA-256 over the body."""
    return f'"{hashlib.sha256(body).hexdigest()}"'


def serve(document: Document, environ: Environ, *, now: datetime) -> Reply:
    """The document, a part of it, or that it did not change."""
    size = len(document.body)
    rest = max(0, int((document.expires_at - now).total_seconds()))
    modified = format_datetime(document.modified_at, usegmt=True)
    headers: Headers = (
        ("ETag", document.etag),
        ("Last-Modified", modified),
        ("Cache-Control", f"max-age={min(rest, _MAX_AGE_SECONDS)}, public, must-revalidate"),
        ("Expires", format_datetime(document.expires_at, usegmt=True)),
    )
    if is_unchanged(environ, document.etag, document.modified_at):
        return Reply(status="304 Not Modified", headers=headers)
    headers += (("Content-Type", document.content_type), ("Accept-Ranges", "bytes"))
    span = None
    if environ["REQUEST_METHOD"] == "GET" and environ.get("HTTP_IF_RANGE", modified) in {document.etag, modified}:
        span = _span(environ.get("HTTP_RANGE", ""), size)
    if span is None:
        return Reply(body=Stretch(document.body, 0, size), headers=headers)
    first, last = span
    if first > last:
        return Reply(status="416 Range Not Satisfiable", headers=(*headers, ("Content-Range", f"bytes */{size}")))
    partial = ("Content-Range", f"bytes {first}-{last}/{size}")
    body = Stretch(document.body, first, last + 1)
    return Reply(status="206 Partial Content", body=body, headers=(*headers, partial))


def is_unchanged(environ: Environ, etag: str, modified_at: datetime) -> bool:
    """Whether the peer has it already: by If-None-Match, and only without that by If-Modified-Since.

    A date counts only if it is the very one: after a clock was set back, what is newer is of an earlier time.
    """
    if environ.get("HTTP_IF_NONE_MATCH"):
        return has_it(environ, etag)
    if not (date := environ.get("HTTP_IF_MODIFIED_SINCE")):
        return False
    try:
        since = parsedate_to_datetime(date)
    except ValueError:
        return False
    return since.tzinfo is not None and modified_at.replace(microsecond=0) == since


def has_it(environ: Environ, etag: str) -> bool:
    """Whether the peer says that it has what this entity tag is of."""
    known: str = environ.get("HTTP_IF_NONE_MATCH", "")
    return known.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """First and last octet of the one range asked for; None to serve all; first > last if there is nothing there."""
    unit, _, span = wanted.partition("=")
    first, dash, last = span.strip().partition("-")
    digits = first + last
    if unit.strip().lower() != "bytes" or not dash or not digits.isdigit() or not digits.isascii() or len(digits) > 30:
        return None
    if not first:
        return max(0, size - int(last)), size - 1 if int(last) else -1
    if last and int(last) < int(first):
        return None
    return (int(first), min(int(last or size - 1), size - 1)) if int(first) < size else (1, 0)
