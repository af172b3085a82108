"""Answering what brokers ask over HTTP, from memory. Whatever goes wrong refuses."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from django.db import Error as DatabaseFault

from brokers.core.access.reasons import AccessReason
from brokers.core.decide.decisions import Acts, Answer, Asked, Call, Identity, Judgement, Login, Question
from brokers.core.decide.dialects import dialect_of
from brokers.core.decide.judging import judge
from brokers.core.decide.snippets import Dialect
from brokers.core.values import BrokerId
from brokers.services import policy_use
from brokers.services.decision_doors import Door, identity_behind, move_to_present_key
from brokers.services.decision_learning import Known
from brokers.services.decision_memory import DecisionMemory, DecisionsAlone
from brokers.services.decision_proofs import PrincipalProofs
from pki.core.bounded_cache import BoundedCache

log = logging.getLogger(__name__)

AHEAD_SECONDS = 0.1
MOST_KEPT = 10_000  # 1 to 2 kB each
MOST_ASKED_ONCE = 50_000  # 70 octets each
LONGEST_KEPT = 1_000
"""Octets of a question whose answer is kept."""
_UNKNOWN = Judgement(reason=AccessReason.UNKNOWN, why="The domain has no such device.")


_Octets = tuple[str, Identity, Asked]


class _Kept(NamedTuple):
    """An answer about topics, and all that it hangs on: it holds as long as both are what is known."""

    door: Door
    known: Known
    decided: policy_use.Decided
    answer: Answer

    @property
    def auth_id(self) -> str:
        """Whom it was about."""
        return self.known.subject.principal.auth_id


class Decider:
    """One process's answers; thread-safe. `is_asked`: somebody asked since it kept up last."""

    def __init__(self, memory: DecisionMemory | None = None) -> None:
        self.is_asked = False
        self._memory = memory or DecisionMemory()
        self._kept: BoundedCache[_Octets, _Kept] = BoundedCache(MOST_KEPT)
        self._asked_once: set[int] = set()

    def keep_up(self, *, now: datetime) -> None:
        """Learns what has happened, so that whoever asks need not wait, and that it is known if the database goes away.

        Also what became of those who were asked about, if something was about all of their domain.

        Raises DecisionsAlone and a database error.
        """
        self.is_asked = False
        self._memory.follow(older_than=AHEAD_SECONDS)
        self._memory.door("")
        self._memory.token_keys()
        self._memory.learn_anew(now=now)

    def admit(self, broker: str, secret: str) -> tuple[Door, Identity] | None:
        """The broker that asks with this secret, and what the secret says of identity; None if there is none such.

        Raises DecisionsAlone and a database error.
        """
        self.is_asked = True
        self._memory.follow()
        return self._behind(broker, secret)

    def admit_teller(self, broker: str, secret: str) -> BrokerId | None:
        """The broker that tells with this secret; None if there is none such. Raises a database error if not known.

        What is known goes on holding however long the database is away: who only tells gets nothing by it.
        """
        self.is_asked = True
        with suppress(DecisionsAlone):
            self._memory.follow()
        found = self._behind(broker, secret)
        return found[0].broker if found else None

    def _behind(self, broker: str, secret: str) -> tuple[Door, Identity] | None:
        door = self._memory.door(broker)
        if door is not None and secret in door.good:
            return door, door.good[secret]
        found = identity_behind(door, broker, secret)
        if door is None or found is None:
            return None
        identity, is_current = found
        if is_current:
            door.good[secret] = identity
        else:
            _move(door.broker, secret)
        return door, identity

    def repeat(self, door: Door, identity: Identity, asked: Asked, path: str, *, now: datetime) -> Answer | None:
        """What was answered to the very same octets, if everything that it hangs on is the same; else None."""
        kept = self._kept.get(_octets(path, identity, asked))
        if kept is None or kept.door is not door:
            return None
        if self._memory.find(door.domain, kept.auth_id, broker=door.broker, now=now) is not kept.known:
            return None
        principal = kept.known.subject.principal
        policy_use.note_decided(broker=door.broker, principal=principal, decided=kept.decided, now=now)
        return kept.answer

    def respond(
        self, door: Door, identity: Identity, asked: Asked, call: Call, path: str, *, now: datetime
    ) -> tuple[Answer, Question, Judgement]:
        """The answer to what that broker asks, with what was asked and judged.

        Raises Unreadable, and a database error about somebody not yet known.
        """
        question = call.read(asked)
        judgement, known = self._judge(door, identity, question, dialect=dialect_of(path), now=now)
        answer = call.say(question, judgement)
        if known is not None and isinstance(question, Acts):
            principal, decided = known.subject.principal, judgement.decided
            policy_use.note_decided(broker=door.broker, principal=principal, decided=decided, now=now)
            octets = _octets(path, identity, asked)
            if len(asked.body) <= LONGEST_KEPT and self._was_asked_before(octets):
                self._kept.put(octets, _Kept(door, known, decided, answer))
        return answer, question, judgement

    def _was_asked_before(self, octets: _Octets) -> bool:
        """Whether it was lately; now it is. Most topics that are asked about once never are again, and are not kept."""
        mark = hash(octets)
        if mark in self._asked_once:
            return True
        if len(self._asked_once) >= MOST_ASKED_ONCE:
            self._asked_once.clear()
        self._asked_once.add(mark)
        return False

    def judge_afresh(
        self, door: Door, identity: Identity, login: Login, *, dialect: Dialect, now: datetime
    ) -> Judgement:
        """The judgement on a login as things stand now; a trial, by which nothing counts as used."""
        self._memory.follow()
        return self._judge(door, identity, login, dialect=dialect, now=now, is_trial=True)[0]

    def _judge(
        self,
        door: Door,
        identity: Identity,
        question: Question,
        *,
        dialect: Dialect,
        now: datetime,
        is_trial: bool = False,
    ) -> tuple[Judgement, Known | None]:
        understood = door.terms.understand(question, identity, dialect=dialect)
        if isinstance(understood, Judgement):
            return understood, None
        question, identity = understood
        memory = self._memory
        known = memory.find(door.domain, question.username, broker=door.broker, now=now)
        if known is None:
            return _UNKNOWN, None
        judgement = judge(
            question,
            memory.judged(known),
            identity,
            proofs=PrincipalProofs(known, memory.token_keys, now, is_trial),
            methods=door.terms.methods,
            now=now,
        )
        return judgement, known


def _octets(path: str, identity: Identity, asked: Asked) -> _Octets:
    """All that an answer is read from."""
    return path, identity, asked


def _move(broker: BrokerId, secret: str) -> None:
    try:
        move_to_present_key(broker, secret)
    except DatabaseFault as error:  # the next question tries again
        log.debug("a decision secret stays under its older key: %s", type(error).__name__)
