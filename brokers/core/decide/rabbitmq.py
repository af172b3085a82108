"""RabbitMQ's HTTP backend (`rabbitmq_auth_backend_http`) for its MQTT plugin, as 3.10 asks and reads.

A form comes, and `allow` or `deny` goes back with 200: 3.10 knows no other word, and tags are never answered. A login
without a password field is one by certificate; an empty password is one that anybody may send. With no other backend
every login is asked about, so that names are those of somebody who was let in.
"""

from __future__ import annotations

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
from brokers.core.decide.reading import read_form, text

EXCHANGE = "amq.topic"
QUEUE = "mqtt-subscription-"
_KINDS = {"write": WishKind.PUBLISH, "read": WishKind.SUBSCRIBE}
AS_MQTT = str.maketrans(".*", "/+")


def _read_user(asked: Asked) -> Login:
    fields = read_form(asked)
    return Login(
        username=text(fields, "username"),
        client_id=fields.get("client_id"),
        password=Password(fields["password"]) if "password" in fields else None,
    )


def _read_vhost(asked: Asked) -> Presence:
    fields = read_form(asked)
    return Presence(username=text(fields, "username"), client_id=fields.get("client_id"))


def _read_resource(asked: Asked) -> Presence:
    """The exchange that MQTT publishes to, or the two queues of that very client; nothing else is anybody's."""
    fields = read_form(asked)
    username, name, permission = (text(fields, each) for each in ("username", "name", "permission"))
    if fields.get("resource") == "exchange" and name == EXCHANGE and permission in _KINDS:
        return Presence(username=username, client_id=fields.get("client_id"))
    if fields.get("resource") == "queue" and name.startswith(QUEUE) and name.endswith(("qos0", "qos1")):
        return Presence(username=username, client_id=name[len(QUEUE) : -len("qos0")])
    raise Unreadable("MQTT needs no such thing.")


def _read_topic(asked: Asked) -> Acts:
    fields = read_form(asked)
    if fields.get("resource") != "topic" or fields.get("name") != EXCHANGE:
        raise Unreadable("MQTT has no such exchange.")
    kind, topic = _KINDS.get(text(fields, "permission")), text(fields, "routing_key")
    if kind is None or (kind is WishKind.PUBLISH and topic.startswith("$")):
        raise Unreadable("Nobody publishes there: whoever subscribes to # would receive it.")
    return Acts(
        username=text(fields, "username"),
        client_id=text(fields, "variable_map.client_id"),
        wishes=(Wish(kind=kind, topic=topic.translate(AS_MQTT)),),
    )


def _say(_question: Question | None, judgement: Judgement) -> Answer:
    return Answer(status=200, body=b"allow" if judgement.all_allowed else b"deny")


USER = Call(read=_read_user, say=_say)
VHOST = Call(read=_read_vhost, say=_say)
RESOURCE = Call(read=_read_resource, say=_say)
TOPIC = Call(read=_read_topic, say=_say)
