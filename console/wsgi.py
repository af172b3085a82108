"""The WSGI callable: the hot public paths first, Django behind them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

_django = get_wsgi_application()

from brokers.api import decide_wsgi, ingest_wsgi  # noqa: E402 - its models need Django set up
from kernel.core.lane import lane  # noqa: E402
from pki.api.wsgi import application as _pki  # noqa: E402
from pki.api.wsgi import keep_up  # noqa: E402

keep_up()
decide_wsgi.keep_up()
# An answer from memory takes microseconds: it shall not wait 5 ms whenever another thread computes, nor 100 ms while
# all that was just loaded is looked through for garbage.
sys.setswitchinterval(0.0001)
gc.collect()
gc.freeze()
# Nor while all that is remembered is looked through, which is not garbage and grows with each answer that is kept.
gc.set_threshold(5_000, 5, 40)

_DIGITS_AT_HAND = 4
"""Of the length of a body that comes with its head, and of which nothing is left where nobody read it."""


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Below /pki/, /decide/ and /ingest/ there are no sessions, cookies and middleware; all else is for Django."""
    path = environ.get("PATH_INFO", "")
    if path.startswith("/decide/"):
        return in_lane(decide_wsgi.application(environ, start_response), environ)
    if path.startswith("/pki/"):
        return in_lane(_pki(environ, start_response), environ)
    if path.startswith("/ingest/"):
        return in_lane(ingest_wsgi.application(environ, start_response), environ)
    lane.leave()
    return _django(environ, start_response)


def in_lane(body: Iterable[bytes], environ: WSGIEnvironment) -> Iterable[bytes]:
    """The body, after which the thread rests if another has the lane."""
    if not isinstance(body, list):  # it is read and sent piece by piece
        lane.leave()
        return body
    return body if lane.keep() or not _is_free(environ) else _ThenRest(body)


def _is_free(environ: WSGIEnvironment) -> bool:
    """Whether the client can ask again while the thread rests.

    Not so where the end of an answer is told apart (HTTP/2), and where a refused question may have more to come: its
    connection waits until the thread is done.
    """
    may_be_unread = "HTTP_TRANSFER_ENCODING" in environ or len(environ.get("CONTENT_LENGTH", "")) > _DIGITS_AT_HAND
    return environ.get("SERVER_PROTOCOL") != "HTTP/2" and not may_be_unread


class _ThenRest:
    """A body whose sender rests when all of it is sent: Content-Length tells whoever receives it that it is whole."""

    close = staticmethod(lane.rest)  # PEP 3333: called at the end, and in the thread that answered

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


def pki_alone(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What is below /pki/, and whether the process is well; of console and API not even the sign-in."""
    path = environ.get("PATH_INFO", "")
    if path.startswith("/pki/"):
        return _pki(environ, start_response)
    if path in {"/healthz", "/readyz"}:
        return _django(environ, start_response)
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
    return []
