"""NanoMQ's HTTP authentication: a form comes, and the status is the whole answer, of which only 200 allows.

It takes no username from a certificate, so who somebody is, is what it says of the certificate (`cn=%C`), and without
one the username. The filters of one SUBSCRIBE come as one text, joined by commas that a filter may have itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
from brokers.core.decide.reading import number, read_form, text

MOST_PIECES = 12
_KINDS = {1: WishKind.SUBSCRIBE, 2: WishKind.PUBLISH}


def _read_login(asked: Asked) -> Login:
    fields = read_form(asked)
    return Login(
        username=_name(fields),
        client_id=text(fields, "clientid"),
        common_name=text(fields, "cn"),
        password=Password(fields["password"]) if fields.get("password") else None,  # what has no value is empty
    )


def _read_acl(asked: Asked) -> Acts:
    fields = read_form(asked)
    kind, topic = _KINDS[number(fields, "access", low=1, high=2)], text(fields, "topic")
    wishes = (Wish(kind=kind, topic=topic),) if kind is WishKind.PUBLISH else tuple(map(_filter, _possible(topic)))
    return Acts(username=_name(fields), client_id=text(fields, "clientid"), wishes=wishes)


def _name(fields: Mapping[str, str]) -> str:
    """The certificate's common name, which a username may repeat, or the username if there is no certificate."""
    name, username = text(fields, "cn"), fields.get("username", "")
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
