"""Questions as brokers send them, and a pump that they are about."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from brokers.core.decide import NO, Answer, Asked, Call, Identity, Question, Unreadable
from brokers.core.decide_judging import Judged, judge
from brokers.core.ports import RenderSubject
from tests.brokers.subjects import ALL, DOWN, UP, subject

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UNTIL = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
PUMP = subject("pump-1", UP, DOWN, ALL)


def form(text: str) -> Asked:
    """A form as it stands on the wire."""
    return Asked(body=text.encode(), content_type="application/x-www-form-urlencoded")


def document(hook: str = "", **members: Any) -> Asked:
    """JSON of these members."""
    return Asked(body=json.dumps(members).encode(), content_type="application/json", hook=hook)


def answered(
    call: Call, asked: Asked, *, identity: Identity = Identity.CERTIFICATE, judged: RenderSubject = PUMP
) -> Answer:
    """What goes back if the question is about `judged`, whose certificate is b"good" in place of DER."""
    try:
        question: Question = call.read(asked)
    except Unreadable:
        return call.say(None, NO)
    if question.username != judged.principal.auth_id:
        return call.say(question, NO)
    prove = {b"good": UNTIL}.get
    return call.say(question, judge(question, Judged.of(judged), identity, prove=prove, now=NOW))
