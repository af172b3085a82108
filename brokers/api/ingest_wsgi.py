"""/ingest/<broker-id>/[<secret>/]<dialect>: what brokers tell by webhook; plain WSGI, ahead of Django's handler.

The secrets are those by which a broker asks (/decide/). Whoever has a good one is always answered with 200, whatever
it says: a broker must neither wait for its events nor send them again and again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from django.db import Error as DatabaseFault

from brokers.api import decide_wsgi
from brokers.api.decide_wsgi import Environ, StartResponse, read_body, secret_in_header, shown
from brokers.core.access.ingest import Reader, read_told
from brokers.core.decide.decisions import Asked, Unreadable
from brokers.core.emqx import events as emqx_events
from brokers.core.nanomq import events as nanomq_events
from brokers.core.vernemq import events as vernemq_events
from brokers.listen.intake import Intake
from kernel.core.clock import utc_now
from kernel.core.seldom import Seldom

log = logging.getLogger(__name__)
log.addFilter(Seldom())  # all that is told may meet the same fault

READERS: Mapping[str, Reader] = {
    "emqx": emqx_events.read_event,
    "nanomq": nanomq_events.read_event,
    "vernemq": vernemq_events.read_event,
}
_TAKEN = ("200 OK", b"{}")
_NOWHERE = ("403 Forbidden", b'{"error":"There is no such place to tell: see docs/howto/access-log.md."}')
intake = Intake()


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers a request whose path begins with /ingest/."""
    status, body = _answer(environ)
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _answer(environ: Environ) -> tuple[str, bytes]:
    broker, secret, dialect = _split(environ)
    reader = READERS.get(dialect)
    try:
        admitted = decide_wsgi.decider.admit_teller(broker, secret) if environ["REQUEST_METHOD"] == "POST" else None
        if admitted is None or reader is None:
            return _NOWHERE
        asked = Asked(body=read_body(environ), hook=environ.get("HTTP_VERNEMQ_HOOK", ""))
        told = read_told(reader, asked, now=utc_now())
        intake.take(admitted, told.events)
        if told.unreadable:
            log.debug("%s events of broker %s can not be read", told.unreadable, broker)
    except Unreadable as error:
        log.debug("what broker %s tells can not be read: %s", shown(broker), error)
    except DatabaseFault as error:  # whether it is that broker was never known in this process
        log.warning("what broker %s tells is lost: %s", shown(broker), type(error).__name__)
        return _NOWHERE
    except Exception:  # it would be sent again, and fail again
        log.exception("what broker %s tells is lost", shown(broker))
    return _TAKEN


def _split(environ: Environ) -> tuple[str, str, str]:
    """The broker's id, the secret (in the path, else in a header), and the dialect."""
    parts = environ["PATH_INFO"].removeprefix("/ingest/").split("/")
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    return parts[0], secret_in_header(environ), parts[1] if len(parts) == 2 else ""
