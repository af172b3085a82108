"""NanoMQ's HTTP authentication: JSON comes, and the status is the whole answer, of which only 200 allows.

Forms are refused: up to 0.24.14 it does not encode them, so that a client id may hold fields of its own
(nanomq/nanomq#2341). It takes no username from a certificate, so who somebody is, is what it says of the certificate
(`cn=%C`), and without one the username; what has no value is left out. The filters of one SUBSCRIBE come as one text,
joined by commas that a filter may have itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from acl.core.values import Subscribe
from brokers.core.decide.decisions import (
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
from brokers.core.decide.reading import number, read_json, text, text_or_none

MOST_PIECES = 12
_KINDS = {1: WishKind.SUBSCRIBE, 2: WishKind.PUBLISH}


def _read_login(asked: Asked) -> Login:
    members = read_json(asked)
    password = text_or_none(members, "password")
    return Login(
        username=_name(members),
        client_id=text(members, "clientid"),
        common_name=text_or_none(members, "cn") or "",
        password=Password(password) if password else None,
    )


def _read_acl(asked: Asked) -> Acts:
    members = read_json(asked)
    kind, topic = _KINDS[number(members, "access", low=1, high=2)], text(members, "topic")
    wishes = (Wish(kind=kind, topic=topic),) if kind is WishKind.PUBLISH else tuple(map(_filter, _possible(topic)))
    return Acts(username=_name(members), client_id=text(members, "clientid"), wishes=wishes)


def _name(members: Mapping[str, Any]) -> str:
    """The certificate's common name, which a username may repeat, or the username if there is no certificate."""
    name, username = text_or_none(members, "cn") or "", text_or_none(members, "username") or ""
    if name and username not in {"", name}:
        raise Unreadable("The username is not the one of the certificate.")
    return name or username


def _possible(topics: str) -> Iterator[str]:
    """Every filter that may be one of these: any run of pieces between commas."""
    pieces = topics.split(",")
    if len(pieces) > MOST_PIECES:
        raise Unreadable("There are too many commas to tell the filters apart.")
    for first in range(len(pieces)):
        for last in range(first + 1, len(pieces) + 1):
            yield ",".join(pieces[first:last])


def _filter(text: str) -> Wish:
    asked = Subscribe.parse(text)
    return Wish(kind=WishKind.SUBSCRIBE, topic=asked.topic, group=asked.group)


def _say(_question: Question | None, judgement: Judgement) -> Answer:
    return Answer(status=200 if judgement.all_allowed else 403)


AUTH = Call(read=_read_login, say=_say)
ACL = Call(read=_read_acl, say=_say)
