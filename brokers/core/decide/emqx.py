"""EMQX's HTTP authenticator and authoriser (5.8 and 6).

Whatever is no plain allow or deny would be `ignore`, and that is for the rest of the chain and for `no_match` to judge:
so every answer is 200 and says which of both it is.
"""

from __future__ import annotations

from brokers.core.decide.decisions import (
    EITHER,
    ONE_QOS,
    ONLY,
    Acts,
    Answer,
    Asked,
    Call,
    Judgement,
    Login,
    Password,
    Question,
    Unreadable,
    Wish,
    WishKind,
)
from brokers.core.decide.reading import der_of, flag, number, read_either, text, text_or_none

_JSON = "application/json"
_KINDS = {"publish": WishKind.PUBLISH, "subscribe": WishKind.SUBSCRIBE}
_DENY = Answer(status=200, body=b'{"result":"deny"}', content_type=_JSON)
_ALLOW = Answer(status=200, body=b'{"result":"allow"}', content_type=_JSON)


def read_login(asked: Asked, *, wants_rules: bool = False) -> Login:
    """The login that EMQX asks about. Raises Unreadable."""
    members = read_either(asked)
    pem, password = text_or_none(members, "cert_pem"), text_or_none(members, "password")
    return Login(
        username=text(members, "username"),
        client_id=text(members, "clientid"),
        certificate=der_of(pem) if pem else None,
        common_name=text_or_none(members, "cert_cn"),
        password=Password(password) if password else None,  # what has no value is rendered as an empty text
        address=text_or_none(members, "peerhost") or "",
        wants_rules=wants_rules,
    )


def _read_wish(asked: Asked) -> Acts:
    members = read_either(asked)
    kind = _KINDS.get(text(members, "action"))
    if kind is None:
        raise Unreadable("action is neither publish nor subscribe.")
    wish = Wish(
        kind=kind,
        topic=text(members, "topic"),
        qos=ONE_QOS[number(members, "qos", low=0, high=2)],
        retain=ONLY[flag(members, "retain")] if kind is WishKind.PUBLISH else EITHER,
        any_group=True,  # EMQX takes $share/<group>/ off before it asks
    )
    return Acts(
        username=text(members, "username"),
        client_id=text(members, "clientid"),
        wishes=(wish,),
        common_name=text_or_none(members, "cert_cn"),
    )


def _say_login(_question: Question | None, judgement: Judgement) -> Answer:
    if not judgement.all_allowed or judgement.until is None:
        return _DENY
    until = int(judgement.until.timestamp())  # in seconds; EMQX closes the connection then
    body = b'{"result":"allow","is_superuser":false,"expire_at":%d}' % until
    return Answer(status=200, body=body, content_type=_JSON)


def _say_wish(_question: Question | None, judgement: Judgement) -> Answer:
    return _ALLOW if judgement.all_allowed else _DENY


AUTHN = Call(read=read_login, say=_say_login)
AUTHZ = Call(read=_read_wish, say=_say_wish)
