"""Questions as brokers send them, and a pump that they are about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from brokers.core.decide.decisions import NO, Answer, Asked, Call, Identity, Question, Unreadable
from brokers.core.decide.judging import Judged, judge
from brokers.core.ports import RenderSubject
from tests.brokers.subjects import ALL, DOWN, UP, subject

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UNTIL = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwdW1wLTEifQ.c2lnbmVk"


@dataclass
class Proven:
    """What proves somebody until UNTIL, in place of what is looked up."""

    certificates: frozenset[bytes] = frozenset({b"good"})
    tokens: frozenset[str] = frozenset({TOKEN})
    passwords: frozenset[str] = frozenset({"correct horse"})

    def certificate(self, der: bytes) -> datetime | None:
        return UNTIL if der in self.certificates else None

    def token(self, text: str) -> datetime | None:
        return UNTIL if text in self.tokens else None

    def password(self, text: str) -> datetime | None:
        assert text, "nobody asks about an empty one"
        return UNTIL if text in self.passwords else None


PROOFS = Proven()
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
    """What goes back if the question is about `judged`, which PROOFS prove."""
    try:
        question: Question = call.read(asked)
    except Unreadable:
        return call.say(None, NO)
    if question.username != judged.principal.auth_id:
        return call.say(question, NO)
    return call.say(question, judge(question, Judged.of(judged), identity, proofs=PROOFS, now=NOW))
