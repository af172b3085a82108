"""CRL, OCSP and issuers' certificates under /pki/<issuer>/: a plain WSGI callable, ahead of Django's handler."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import DatabaseError, close_old_connections

from kernel.core.clock import utc_now
from kernel.core.errors import NotFound
from pki import queries
from pki.core.ocsp_request import MAX_REQUEST_OCTETS
from pki.services.answer_ocsp import OcspAnswer, Responder

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_OCSP_MAX_AGE = 60
_MAX_GET_OCTETS = 4096
responder = Responder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back."""

    status: str = "200 OK"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Stored bytes with what conditional and range requests need."""

    body: bytes
    content_type: str
    modified_at: datetime
    expires_at: datetime


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers a request whose path begins with /pki/."""
    close_old_connections()
    try:
        reply = _route(environ)
    except NotFound:
        reply = _plain("404 Not Found", "There is no such issuer or document.")
    except DatabaseError:
        reply = _plain("503 Service Unavailable", "The database is away; try again.", ("Retry-After", "2"))
    finally:
        close_old_connections()
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else reply.body
    length = () if reply.status.startswith("304") else (("Content-Length", str(len(reply.body))),)
    start_response(reply.status, [*reply.headers, *length])
    return [body]


def _route(environ: Environ) -> Reply:
    slug, _, leaf = environ["PATH_INFO"].removeprefix("/pki/").partition("/")
    if leaf == "ocsp" or leaf.startswith("ocsp/"):
        return _ocsp(slug, leaf.removeprefix("ocsp").removeprefix("/"), environ)
    make = _DOCUMENTS.get(leaf)
    if make is None:
        raise NotFound("no such document")
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return _plain("405 Method Not Allowed", "Use GET.", ("Allow", "GET, HEAD"))
    return _serve(make(slug), environ)


def _plain(status: str, text: str, *headers: tuple[str, str]) -> Reply:
    content_type = ("Content-Type", "text/plain; charset=utf-8")
    return Reply(status=status, body=f"{text}\n".encode(), headers=(content_type, *headers))


def _ocsp(slug: str, encoded: str, environ: Environ) -> Reply:
    method = environ["REQUEST_METHOD"]
    if method == "POST" and not encoded:
        octets = _read_body(environ)
    elif method in {"GET", "HEAD"} and encoded:
        octets = _from_path(encoded)
    else:
        return _plain("405 Method Not Allowed", "POST a request, or GET it in base64.", ("Allow", "GET, HEAD, POST"))
    answer = responder.answer(slug, octets, now=utc_now())
    if answer is None:
        raise NotFound("no such issuer")
    return Reply(body=answer.der, headers=(("Content-Type", "application/ocsp-response"), *_ocsp_caching(answer)))


def _read_body(environ: Environ) -> bytes:
    """The body; more than a request may have is cut, so that it is malformed."""
    try:
        length = min(int(environ.get("CONTENT_LENGTH") or 0), MAX_REQUEST_OCTETS + 1)
    except ValueError:
        length = 0
    body: bytes = environ["wsgi.input"].read(length) if length > 0 else b""
    return body


def _from_path(encoded: str) -> bytes:
    """The request in the path (RFC 6960 A.1): base64, percent-encoded once more or not. Empty if it is not."""
    text = unquote(encoded).replace(" ", "+")
    if len(text) > _MAX_GET_OCTETS:
        return b""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _ocsp_caching(answer: OcspAnswer) -> tuple[tuple[str, str], ...]:
    """RFC 5019 6.2 for an answer that may be kept; a revocation has to show soon, so it is kept for a minute."""
    if answer.this_update is None or answer.next_update is None:
        return (("Cache-Control", "no-store"),)
    rest = max(0, int((answer.next_update - utc_now()).total_seconds()))
    return (
        ("Cache-Control", f"max-age={min(rest, _OCSP_MAX_AGE)},public,no-transform,must-revalidate"),
        ("ETag", _etag(answer.der)),
        ("Last-Modified", format_datetime(answer.this_update, usegmt=True)),
        ("Expires", format_datetime(answer.next_update, usegmt=True)),
    )


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _crl(slug: str) -> Document:
    crl = queries.latest_crl(issuer=queries.find_issuer(slug=slug).id)
    if crl is None:
        raise NotFound("no CRL yet")
    return Document(
        body=crl.der, content_type="application/pkix-crl", modified_at=crl.this_update, expires_at=crl.next_update
    )


def _crl_pem(slug: str) -> Document:
    crl = _crl(slug)
    pem = x509.load_der_x509_crl(crl.body).public_bytes(Encoding.PEM)
    return Document(
        body=pem, content_type="application/x-pem-file", modified_at=crl.modified_at, expires_at=crl.expires_at
    )


def _certificate(slug: str) -> Document:
    issuer = queries.find_issuer(slug=slug)
    return Document(
        body=issuer.certificate_der,
        content_type="application/pkix-cert",
        modified_at=issuer.not_before,
        expires_at=issuer.not_after,
    )


def _certificate_pem(slug: str) -> Document:
    issuer = queries.find_issuer(slug=slug)
    return Document(
        body=issuer.certificate_pem.encode(),
        content_type="application/x-pem-file",
        modified_at=issuer.not_before,
        expires_at=issuer.not_after,
    )


def _chain_pem(slug: str) -> Document:
    issuer = queries.find_issuer(slug=slug)
    return Document(
        body=issuer.chain_pem.encode(),
        content_type="application/x-pem-file",
        modified_at=issuer.not_before,
        expires_at=issuer.not_after,
    )


_DOCUMENTS: dict[str, Callable[[str], Document]] = {
    "crl": _crl,
    "crl.pem": _crl_pem,
    "cert": _certificate,
    "cert.pem": _certificate_pem,
    "chain.pem": _chain_pem,
}


def _serve(document: Document, environ: Environ) -> Reply:
    """Stored bytes; RFC 9110 13 (conditional) and 14 (range)."""
    etag, size = _etag(document.body), len(document.body)
    rest = max(0, int((document.expires_at - utc_now()).total_seconds()))
    headers = (
        ("Content-Type", document.content_type),
        ("ETag", etag),
        ("Last-Modified", format_datetime(document.modified_at, usegmt=True)),
        ("Cache-Control", f"max-age={min(rest, 300)}, public, must-revalidate"),
        ("Expires", format_datetime(document.expires_at, usegmt=True)),
        ("Accept-Ranges", "bytes"),
    )
    if _is_unchanged(environ, etag, document.modified_at):
        return Reply(status="304 Not Modified", headers=headers)
    wanted = environ.get("HTTP_RANGE", "")
    if not wanted or environ.get("HTTP_IF_RANGE", etag) != etag:
        return Reply(body=document.body, headers=headers)
    span = _range(wanted, size)
    if span is None:
        return Reply(body=document.body, headers=headers)
    first, last = span
    if first > last:
        return Reply(status="416 Range Not Satisfiable", headers=(*headers, ("Content-Range", f"bytes */{size}")))
    partial = ("Content-Range", f"bytes {first}-{last}/{size}")
    return Reply(status="206 Partial Content", body=document.body[first : last + 1], headers=(*headers, partial))


def _is_unchanged(environ: Environ, etag: str, modified_at: datetime) -> bool:
    if known := environ.get("HTTP_IF_NONE_MATCH"):
        return known.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]
    try:
        since = parsedate_to_datetime(environ.get("HTTP_IF_MODIFIED_SINCE", ""))
    except ValueError:
        return False
    return since.tzinfo is not None and modified_at.replace(microsecond=0) <= since


def _range(wanted: str, size: int) -> tuple[int, int] | None:
    """First and last octet of the one range asked for; None to serve all; first > last if there is nothing there."""
    unit, _, span = wanted.partition("=")
    first, dash, last = span.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not (first + last).isdigit() or not (first + last).isascii():
        return None
    if not first:
        return max(0, size - int(last)), size - 1 if int(last) else -1
    if last and int(last) < int(first):
        return None
    return (int(first), min(int(last or size - 1), size - 1)) if int(first) < size else (1, 0)
