"""VerneMQ's webhooks (`vmq_webhooks`): six hooks at one path, told apart by the header `vernemq-hook`.

Only 200 with JSON counts. `next` would leave the question to the next plugin, so it is never said. There is no
`cache-control` either: only allows would be kept, and a max-age of 0 is kept for a second (vernemq/vernemq#1782).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from acl.core.values import Subscribe
from brokers.core.decide.decisions import (
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
from brokers.core.decide.reading import flag, number, read_json, text, text_or_none

MOST_FILTERS = 200
_REFUSED = {3: 128, 5: 135}
"""What takes the place of the granted QoS: MQTT 3.1.1 3.9.3, and Not authorized of MQTT 5 3.9.3."""


def _read(asked: Asked) -> Question:
    reader = _READERS.get(asked.hook.removesuffix("_m5"))
    if reader is None:
        raise Unreadable("There is no such hook.")
    return reader(read_json(asked))


def _read_register(members: Mapping[str, Any]) -> Login:
    certificate, password = text_or_none(members, "client_cert"), text_or_none(members, "password")
    return Login(
        username=text(members, "username"),
        client_id=text(members, "client_id"),
        certificate=_der(certificate) if certificate is not None else None,
        password=Password(password) if password is not None else None,
        address=text_or_none(members, "peer_addr") or "",
    )


def _der(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise Unreadable("client_cert is no base64.") from error


def _read_publish(members: Mapping[str, Any]) -> Acts:
    wish = Wish(
        kind=WishKind.PUBLISH,
        topic=text(members, "topic"),
        qos=ONE_QOS[number(members, "qos", low=0, high=2)],
        retain=ONLY[flag(members, "retain")],
    )
    return _acts(members, wish)


def _read_subscribe(members: Mapping[str, Any]) -> Acts:
    topics = members.get("topics")
    if not isinstance(topics, list) or not 1 <= len(topics) <= MOST_FILTERS:
        raise Unreadable("topics is no list of filters.")
    return _acts(members, *map(_filter, topics))


def _filter(wanted: object) -> Wish:
    if not isinstance(wanted, dict):
        raise Unreadable("A filter is no object.")
    asked = Subscribe.parse(text(wanted, "topic"))
    qos = ONE_QOS[number(wanted, "qos", low=0, high=2)]
    return Wish(kind=WishKind.SUBSCRIBE, topic=asked.topic, qos=qos, group=asked.group)


def _acts(members: Mapping[str, Any], *wishes: Wish) -> Acts:
    return Acts(username=text(members, "username"), client_id=text(members, "client_id"), wishes=wishes)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Question]] = {
    "auth_on_register": _read_register,
    "auth_on_publish": _read_publish,
    "auth_on_subscribe": _read_subscribe,
}


def _say(question: Question | None, judgement: Judgement, *, version: int) -> Answer:
    """All, nothing, or filter by filter: the QoS of each that is granted, and in its place why the others are not."""
    if judgement.all_allowed:
        return _OK
    if not any(judgement.allowed) or not isinstance(question, Acts):
        return _NOT_ALLOWED
    topics = [
        {"topic": _spelled(wish), "qos": min(wish.qos) if allowed else _REFUSED[version]}
        for wish, allowed in zip(question.wishes, judgement.allowed, strict=True)
    ]
    return _said({"result": "ok"} | ({"topics": topics} if version == 3 else {"modifiers": {"topics": topics}}))


def _spelled(wish: Wish) -> str:
    return Subscribe(topic=wish.topic, group=wish.group).spelled


def _said(document: object) -> Answer:
    body = json.dumps(document, separators=(",", ":")).encode()
    return Answer(status=200, body=body, content_type="application/json")


_OK = _said({"result": "ok"})
_NOT_ALLOWED = _said({"result": {"error": "not_allowed"}})


def _say_3(question: Question | None, judgement: Judgement) -> Answer:
    return _say(question, judgement, version=3)


def _say_5(question: Question | None, judgement: Judgement) -> Answer:
    return _say(question, judgement, version=5)


MQTT_3 = Call(read=_read, say=_say_3)
MQTT_5 = Call(read=_read, say=_say_5)
