"""CRL, OCSP and issuers' certificates under /pki/<issuer>/: a plain WSGI callable, ahead of Django's handler."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from threading import Thread
from typing import Any
from urllib.parse import unquote

from django.db import Error as DatabaseFault
from django.db import close_old_connections

from kernel.core.clock import utc_now
from kernel.core.errors import NotFound, Unavailable
from pki.api.shelf import Shelf, is_leaf
from pki.api.stored_bytes import Environ, Headers, Reply, etag_of, has_it, serve
from pki.core.ocsp_request import MAX_REQUEST_OCTETS
from pki.services.answer_ocsp import Responder
from pki.services.ocsp_answers import INTERNAL_ERROR, TRY_LATER, OcspAnswer

log = logging.getLogger(__name__)

StartResponse = Callable[..., Any]

_OCSP_MAX_AGE_SECONDS = 60
_MAX_PATH_CHARACTERS = 4096
_KEPT_UP_EACH_SECONDS = 5.0
responder = Responder()
shelf = Shelf()


def keep_up() -> None:
    """Lets a thread of this process learn every few seconds what happened, so that it outlives the database."""
    Thread(target=_keep_up, name="ocsp", daemon=True).start()


def _keep_up() -> None:
    while True:
        try:
            responder.keep_up(now=utc_now())
        except DatabaseFault as error:
            log.debug("OCSP could not catch up: %s", type(error).__name__)
        except Exception:
            log.exception("OCSP could not catch up")
        time.sleep(_KEPT_UP_EACH_SECONDS)


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers a request whose path begins with /pki/."""
    try:
        reply = _route(environ, now=utc_now())
    except NotFound:
        reply = _plain("404 Not Found", "There is no such issuer or document.")
    except DatabaseFault:
        reply = _plain("503 Service Unavailable", "The database is away: try again.", ("Retry-After", "2"))
    except Exception:
        log.exception("%s was not served", environ.get("PATH_INFO", "")[:200])
        reply = _plain("500 Internal Server Error", "Something went wrong here: see the log of the web process.")
    length = () if reply.status.startswith("304") else (("Content-Length", str(len(reply.body))),)
    start_response(reply.status, [*reply.headers, *length])
    if environ["REQUEST_METHOD"] == "HEAD":
        return [b""]
    return [reply.body] if isinstance(reply.body, bytes) else reply.body


def _route(environ: Environ, *, now: datetime) -> Reply:
    slug, _, leaf = environ["PATH_INFO"].removeprefix("/pki/").partition("/")
    if leaf == "ocsp" or leaf.startswith("ocsp/"):
        return _ocsp(slug, leaf[len("ocsp/") :], environ, now=now)
    close_old_connections()  # one that broke, before it is used again
    if not is_leaf(leaf):
        raise NotFound("There is no such document.")
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return _plain("405 Method Not Allowed", "Use GET.", ("Allow", "GET, HEAD"))
    return serve(shelf.find(slug, leaf, now=now), environ, now=now)


def _plain(status: str, text: str, *headers: tuple[str, str]) -> Reply:
    content_type = ("Content-Type", "text/plain; charset=utf-8")
    return Reply(status=status, body=f"{text}\n".encode(), headers=(content_type, *headers))


def _ocsp(slug: str, encoded: str, environ: Environ, *, now: datetime) -> Reply:
    method = environ["REQUEST_METHOD"]
    if method == "POST" and not encoded:
        octets = _read_body(environ)
    elif method in {"GET", "HEAD"} and encoded:
        octets = _from_path(encoded)
    else:
        return _plain("405 Method Not Allowed", "POST a request, or GET it in base64.", ("Allow", "GET, HEAD, POST"))
    answer = _answer(slug, octets, now=now)
    if answer is None:
        raise NotFound("There is no such issuer.")
    content_type = ("Content-Type", "application/ocsp-response")
    if answer.this_update is None or answer.next_update is None:
        return Reply(body=answer.der, headers=(content_type, ("Cache-Control", "no-store")))
    etag = etag_of(answer.der)
    caching = _caching(etag, answer.this_update, answer.next_update, now=now)
    if method != "POST" and has_it(environ, etag):  # by no date: good and revoked may be of one second
        return Reply(status="304 Not Modified", headers=caching)
    return Reply(body=answer.der, headers=(content_type, *caching))


def _answer(slug: str, octets: bytes, *, now: datetime) -> OcspAnswer | None:
    """What the responder answers: tryLater while its key is away, an internalError (RFC 6960 2.3) for what nobody
    foresaw, never HTML.
    """
    try:
        return responder.answer_at_once(slug, octets, now=now) or responder.answer(slug, octets, now=now)
    except Unavailable as error:
        log.warning("OCSP of %s has to wait: %s", slug[:80], error.detail)
        return TRY_LATER
    except Exception:
        log.exception("OCSP of %s failed", slug[:80])
        return INTERNAL_ERROR


def _read_body(environ: Environ) -> bytes:
    """The body; more than a request may have is cut, so that it is malformed."""
    limit = MAX_REQUEST_OCTETS + 1
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length <= 0 and environ.get("wsgi.input_terminated"):  # chunked
        length = limit
    body: bytes = environ["wsgi.input"].read(min(length, limit)) if length > 0 else b""
    return body


def _from_path(encoded: str) -> bytes:
    """The request in the path (RFC 6960 A.1): base64, percent-encoded once more or not. Empty if it is not."""
    text = unquote(encoded).replace(" ", "+")
    if len(text) > _MAX_PATH_CHARACTERS:
        return b""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _caching(etag: str, this_update: datetime, next_update: datetime, *, now: datetime) -> Headers:
    """RFC 5019 6.2 for an answer that may be kept; a revocation has to show soon, so it is kept for a minute."""
    rest = max(0, int((next_update - now).total_seconds()))
    return (
        ("Cache-Control", f"max-age={min(rest, _OCSP_MAX_AGE_SECONDS)},public,no-transform,must-revalidate"),
        ("ETag", etag),
        ("Last-Modified", _http_date(this_update)),
        ("Expires", _http_date(next_update)),
    )


@lru_cache(maxsize=64)
def _http_date(moment: datetime) -> str:
    """The same few moments are in most answers."""
    return format_datetime(moment, usegmt=True)
