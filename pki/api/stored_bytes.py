"""Serving stored bytes: conditional requests (RFC 9110 13) and ranges (RFC 9110 14)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

Environ = dict[str, Any]
Headers = tuple[tuple[str, str], ...]
_MAX_AGE_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back."""

    status: str = "200 OK"
    body: bytes = b""
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Stored bytes with what conditional and range requests need."""

    body: bytes
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
        return Reply(body=document.body, headers=headers)
    first, last = span
    if first > last:
        return Reply(status="416 Range Not Satisfiable", headers=(*headers, ("Content-Range", f"bytes */{size}")))
    partial = ("Content-Range", f"bytes {first}-{last}/{size}")
    return Reply(status="206 Partial Content", body=document.body[first : last + 1], headers=(*headers, partial))


def is_unchanged(environ: Environ, etag: str, modified_at: datetime) -> bool:
    """Whether the peer has it already: by If-None-Match, and only without that by If-Modified-Since."""
    if known := environ.get("HTTP_IF_NONE_MATCH"):
        return known.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]
    try:
        since = parsedate_to_datetime(environ.get("HTTP_IF_MODIFIED_SINCE", ""))
    except ValueError:
        return False
    return since.tzinfo is not None and modified_at.replace(microsecond=0) <= since


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
