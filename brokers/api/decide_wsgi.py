"""/decide/<broker-id>/[<secret>/]<dialect>/…: a plain WSGI callable, ahead of Django's handler.

Whatever goes wrong is answered as a refusal in the broker's own dialect, and never with a 5xx: some brokers take that
for a reason to ask somebody else. A wrong secret is answered as a broker that there is not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from threading import Thread
from typing import Any

from django.db import Error as DatabaseFault

from brokers.core.decide.decisions import NO, Answer, Asked, Call, Identity, Login, Unreadable
from brokers.core.decide.dialects import call_of
from brokers.listen.refusals import RefusalLog
from brokers.services.admission import Refusal
from brokers.services.deciding import Decider
from brokers.services.decision_doors import Door
from kernel.core.clock import utc_now
from kernel.core.errors import Unavailable
from kernel.core.seldom import Seldom

log = logging.getLogger(__name__)
log.addFilter(Seldom())  # each question may meet the same fault

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

MAX_BODY_OCTETS = 262_144
_KEPT_UP_EACH_SECONDS = 5.0
_WHILE_ASKED_SECONDS = 0.2
_MOST_TOLD = 255
_ID_CHARACTERS = 36
_HOOK = "HTTP_VERNEMQ_HOOK"
_STATUS = {200: "200 OK", 403: "403 Forbidden"}
_NOWHERE = Answer(status=403, body=b"There is no such question: see docs/howto/http-decisions.md.\n")
decider = Decider()
refusals = RefusalLog()


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who was refused; the address is empty where the broker does not tell it."""

    client_id: str
    address: str


def keep_up() -> None:
    """Lets a thread of this process learn what happened: while it is asked, so soon that no question has to read it."""
    Thread(target=_keep_up, name="decide", daemon=True).start()


def _keep_up() -> None:
    while True:
        try:
            decider.keep_up(now=utc_now())
        except (DatabaseFault, Unavailable) as error:
            log.debug("decisions could not catch up: %s", type(error).__name__)
        except Exception:
            log.exception("decisions could not catch up")
        ends_at = time.monotonic() + _KEPT_UP_EACH_SECONDS
        time.sleep(_WHILE_ASKED_SECONDS)
        while not decider.is_asked and time.monotonic() < ends_at:
            time.sleep(_WHILE_ASKED_SECONDS)


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers a request whose path begins with /decide/."""
    broker, secret, path = _split(environ["PATH_INFO"])
    call = call_of(path, environ.get(_HOOK, ""))
    answer = _NOWHERE if call is None else _answer(call, path, broker, secret or secret_in_header(environ), environ)
    headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))]
    start_response(_STATUS[answer.status], headers)
    return [answer.body]


def _answer(call: Call, path: str, broker: str, secret: str, environ: Environ) -> Answer:
    try:
        admitted = decider.admit(broker, secret) if environ["REQUEST_METHOD"] == "POST" else None
        return _say(call, path, admitted, environ) if admitted else call.say(None, NO)
    except Unreadable as error:
        log.debug("a question of broker %s can not be read: %s", shown(broker), error)
    except (DatabaseFault, Unavailable) as error:
        log.warning("a question of broker %s is refused: %s", shown(broker), type(error).__name__)
    except Exception:
        log.exception("a question of broker %s failed", shown(broker))
    return call.say(None, NO)


def _say(call: Call, path: str, admitted: tuple[Door, Identity], environ: Environ) -> Answer:
    content_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    asked, now = Asked(body=read_body(environ), content_type=content_type, hook=environ.get(_HOOK, "")), utc_now()
    if repeated := decider.repeat(*admitted, asked, path, now=now):
        return repeated
    answer, question, judgement = decider.respond(*admitted, asked, call, path, now=now)
    if isinstance(question, Login) and not judgement.all_allowed:
        refusal = Refusal(why=judgement.why, auth_id=question.username[:_MOST_TOLD], reason=judgement.reason)
        caller = _Caller((question.client_id or "")[:_MOST_TOLD], question.address[:_MOST_TOLD])
        refusals.note(admitted[0].broker, caller, refusal)
    return answer


def shown(broker: str) -> str:
    """The id as it may stand in a log: whoever leaves it out has the secret in its place."""
    return broker if len(broker) == _ID_CHARACTERS else "(no id)"


@lru_cache(maxsize=1_024)
def _split(path_info: str) -> tuple[str, str, str]:
    """The broker's id, the secret if it stands there, and the path of the call."""
    broker, _, path = path_info.removeprefix("/decide/").partition("/")
    head, _, rest = path.partition("/")
    if call_of(path, "") is None and call_of(rest, "") is not None:
        return broker, head, rest
    return broker, "", path


def secret_in_header(environ: Environ) -> str:
    """The broker's secret, as a bearer token or in a header of its own; empty if there is none."""
    bearer: str = environ.get("HTTP_AUTHORIZATION", "")
    return environ.get("HTTP_X_GATEHOUSE_SECRET") or bearer.removeprefix("Bearer ")


def read_body(environ: Environ) -> bytes:
    """The body. Raises Unreadable if it is larger than any question."""
    limit = MAX_BODY_OCTETS + 1
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length <= 0 and environ.get("wsgi.input_terminated"):  # chunked
        length = limit
    body: bytes = environ["wsgi.input"].read(min(length, limit)) if length > 0 else b""
    if len(body) == limit:
        raise Unreadable("The body is larger than any question.")
    return body
