"""EMQX's HTTP authenticator that hands the rules over with the login (`acl`, 5.8 and newer).

EMQX asks about no topic then, and has the device log in anew when they end. They never allow more than the policy did
at the login; what they do not meet is left to the authorisers behind.
"""

from __future__ import annotations

from functools import partial

from brokers.core.decide import emqx
from brokers.core.decide.decisions import NO, Answer, Call, Judgement, Question


def _say(question: Question | None, judgement: Judgement) -> Answer:
    if judgement.rules is None:
        return emqx.AUTHN.say(question, NO)
    plain = emqx.AUTHN.say(question, judgement)
    body = plain.body[:-1] + b',"acl":' + judgement.rules + b"}"
    return Answer(status=plain.status, body=body, content_type=plain.content_type)


AUTHN_ACL = Call(read=partial(emqx.read_login, wants_rules=True), say=_say)
