"""The HTTP backend of mosquitto-go-auth, with `response_mode` status or json, and params as JSON or a form.

2xx allows, and so has its own body; 4xx refuses; 5xx would have the next backend asked, and is never said.
It sends no certificate: who somebody is, is Mosquitto's word alone, and that of no password.
"""

from __future__ import annotations

from acl.core.values import Subscribe
from brokers.core.decide.decisions import (
    Acts,
    Answer,
    Asked,
    Call,
    Judgement,
    Login,
    Password,
    Presence,
    Question,
    Unreadable,
    Wish,
    WishKind,
)
from brokers.core.decide.reading import number, read_either, text, text_or_none

_KINDS = {
    1: (WishKind.RECEIVE,),
    2: (WishKind.PUBLISH,),
    3: (WishKind.RECEIVE, WishKind.PUBLISH),
    4: (WishKind.SUBSCRIBE,),
}


def _read_user(asked: Asked) -> Login:
    """Mosquitto asks this only of somebody whom no certificate proves (eclipse-mosquitto/mosquitto#995)."""
    members = read_either(asked)
    password = Password(text_or_none(members, "password") or "")
    return Login(username=text(members, "username"), client_id=text(members, "clientid"), password=password)


def _read_superuser(_asked: Asked) -> Presence:
    raise Unreadable("Nobody is a superuser, who would be asked about nothing any more.")


def _read_acl(asked: Asked) -> Acts:
    members = read_either(asked)
    topic = text(members, "topic")
    kinds = _KINDS[number(members, "acc", low=1, high=4)]
    return Acts(
        username=text(members, "username"),
        client_id=text(members, "clientid"),
        wishes=tuple(_wish(kind, topic) for kind in kinds),
        by_name_alone=True,
    )


def _wish(kind: WishKind, topic: str) -> Wish:
    if kind is not WishKind.SUBSCRIBE:
        return Wish(kind=kind, topic=topic)
    asked = Subscribe.parse(topic)
    return Wish(kind=kind, topic=asked.topic, group=asked.group)


def _say(_question: Question | None, judgement: Judgement) -> Answer:
    if judgement.all_allowed:
        return Answer(status=200, body=b'{"ok":true,"error":""}', content_type="application/json")
    return Answer(status=403, body=b'{"ok":false,"error":"not allowed"}', content_type="application/json")


GETUSER = Call(read=_read_user, say=_say)
SUPERUSER = Call(read=_read_superuser, say=_say)
ACLCHECK = Call(read=_read_acl, say=_say)
