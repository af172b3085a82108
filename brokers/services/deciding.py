"""Answering what brokers ask over HTTP, from memory. Whatever goes wrong refuses."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import Error as DatabaseFault

from brokers.core.access_reasons import AccessReason
from brokers.core.decide import Acts, Identity, Judgement, Login, Question
from brokers.core.decide_judging import judge
from brokers.core.decide_snippets import Dialect
from brokers.core.values import BrokerId
from brokers.services import policy_use
from brokers.services.decision_doors import Door, identity_behind, move_to_present_key
from brokers.services.decision_memory import DecisionMemory
from brokers.services.decision_proofs import PrincipalProofs

log = logging.getLogger(__name__)

_UNKNOWN = Judgement(reason=AccessReason.UNKNOWN, why="The domain has no such device.")


class Decider:
    """One process's answers; thread-safe."""

    def __init__(self, memory: DecisionMemory | None = None) -> None:
        self._memory = memory or DecisionMemory()

    def keep_up(self) -> None:
        """Learns what has happened, so that it is known if the database goes away before anybody asks.

        Raises DecisionsAlone and a database error.
        """
        self._memory.follow()
        self._memory.door("")
        self._memory.token_keys()

    def admit(self, broker: str, secret: str) -> tuple[Door, Identity] | None:
        """The broker that asks with this secret, and what the secret says of identity; None if there is none such.

        Raises DecisionsAlone and a database error.
        """
        self._memory.follow()
        door = self._memory.door(broker)
        found = identity_behind(door, broker, secret)
        if door is None or found is None:
            return None
        identity, is_current = found
        if not is_current:
            _move(door.broker, secret)
        return door, identity

    def answer(
        self, door: Door, identity: Identity, question: Question, *, dialect: Dialect, now: datetime
    ) -> Judgement:
        """The judgement on a question of that broker. May raise a database error, about somebody not yet known."""
        understood = door.terms.understand(question, identity, dialect=dialect)
        if isinstance(understood, Judgement):
            return understood
        question, identity = understood
        memory = self._memory
        known = memory.find(door.domain, question.username, broker=door.broker, now=now)
        if known is None:
            return _UNKNOWN
        judgement = judge(
            question,
            memory.judged(known),
            identity,
            proofs=PrincipalProofs(known, memory.token_keys, now),
            methods=door.terms.methods,
            now=now,
        )
        if isinstance(question, Acts):
            principal = known.subject.principal
            for request, verdict in judgement.decided:
                policy_use.note(broker=door.broker, principal=principal, request=request, verdict=verdict, now=now)
        return judgement

    def judge_afresh(
        self, door: Door, identity: Identity, login: Login, *, dialect: Dialect, now: datetime
    ) -> Judgement:
        """The same of a login as things stand now."""
        self._memory.follow()
        return self.answer(door, identity, login, dialect=dialect, now=now)


def _move(broker: BrokerId, secret: str) -> None:
    try:
        move_to_present_key(broker, secret)
    except DatabaseFault as error:  # the next question tries again
        log.debug("a decision secret stays under its older key: %s", type(error).__name__)
