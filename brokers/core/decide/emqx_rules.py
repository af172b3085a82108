"""EMQX's HTTP authenticator that hands the rules over with the login (`acl`, 5.8 and newer).

EMQX asks about no topic then, and has the device log in anew when they end. They never allow more than the policy did
at the login; what they do not meet is left to the authorisers behind.
"""

from __future__ import annotations

from dataclasses import replace

from brokers.core.decide import emqx
from brokers.core.decide.decisions import Answer, Asked, Call, Judgement, Login, Question


def _read(asked: Asked) -> Question:
    question = emqx.AUTHN.read(asked)
    return replace(question, wants_rules=True) if isinstance(question, Login) else question


def _say(question: Question | None, judgement: Judgement) -> Answer:
    if judgement.rules is None:
        return emqx.AUTHN.say(question, replace(judgement, allowed=()))
    plain = emqx.AUTHN.say(question, judgement)
    return replace(plain, body=plain.body[:-1] + b',"acl":' + judgement.rules + b"}")


AUTHN_ACL = Call(read=_read, say=_say)
