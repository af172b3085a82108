"""How RabbitMQ 3.10 with its MQTT plugin decides, for tests and for `enforced_as`. It knows nothing of policy.

`may_publish`, `may_subscribe` and `reaches` are about packets. `emulate` and `deliverable` are about topics: RabbitMQ
takes the topic `x.y` for `x/y`, so nothing is ever published to, or delivered from, what is spelled `x.y`.
"""

from __future__ import annotations

from collections.abc import Sequence

from acl.core.values import Principal, Publish, Receive, Request, Subscribe
from brokers.core.rabbitmq.regex import found
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState, RabbitUser

_TO_AMQP = str.maketrans("/+", ".*")


def emulate(state: RabbitState, principal: Principal, request: Request) -> bool:
    """What the broker does: a publish that passes, a subscription that is granted, a message that is delivered."""
    if isinstance(request, Receive):
        return deliverable(state, principal, Subscribe(topic=request.topic), request.topic)
    if "." in request.topic or "*" in request.topic:
        return False  # the packet is about another topic
    if isinstance(request, Publish):
        return may_publish(state, principal, request.topic)
    return may_subscribe(state, principal, request.spelled, qos=request.qos)


def deliverable(state: RabbitState, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches the principal that asked for `wanted`.

    One under `$` is there only if an account may publish it; every other topic is taken to have a publisher.
    """
    if "." in topic or "*" in topic:
        return False
    if topic.startswith("$") and not any(
        _may_publish(user, topic, {"username": name, "vhost": state.vhost}) for name, user in state.users.items()
    ):
        return False
    granted = may_subscribe(state, principal, wanted.spelled, qos=wanted.qos)
    return granted and reaches(wanted.spelled, topic)


def may_publish(state: RabbitState, principal: Principal, topic: str) -> bool:
    """Whether a PUBLISH to `topic`, whatever it holds, passes; if not, the connection is closed."""
    user = state.users.get(principal.auth_id)
    return user is not None and _may_publish(user, topic, _variables(state, principal))


def may_subscribe(state: RabbitState, principal: Principal, filter: str, *, qos: int = 0) -> bool:
    """Whether a SUBSCRIBE to `filter`, whatever it holds, is granted; if not, the connection is closed."""
    user = state.users.get(principal.auth_id)
    if user is None or user.permission is None:
        return False
    client_id = principal.client_id.replace("\r", "").replace("\n", "")  # as in all names of queues
    queue = f"mqtt-subscription-{client_id}qos{min(qos, 1)}"
    granted = user.permission
    return (
        all(found(pattern, queue, {}) for pattern in (granted.configure, granted.write, granted.read))
        and found(granted.read, EXCHANGE, {})
        and _may(user, "read", filter, _variables(state, principal))
    )


def reaches(filter: str, topic: str) -> bool:
    """Whether a message published to `topic` is routed to who subscribed to `filter`: the rules of a topic exchange."""
    return _routed(_words(filter), _words(topic))


def _may_publish(user: RabbitUser, topic: str, variables: dict[str, str]) -> bool:
    return (
        user.permission is not None
        and found(user.permission.write, EXCHANGE, {})
        and _may(user, "write", topic, variables)
    )


def _may(user: RabbitUser, way: str, text: str, variables: dict[str, str]) -> bool:
    permission = user.topics.get(EXCHANGE)
    return permission is None or found(getattr(permission, way), text.translate(_TO_AMQP), variables)


def _variables(state: RabbitState, principal: Principal) -> dict[str, str]:
    return {"client_id": principal.client_id, "username": principal.auth_id, "vhost": state.vhost}


def _words(text: str) -> list[str]:
    """Words of a routing or binding key; the empty key has none."""
    return text.translate(_TO_AMQP).split(".") if text else []


def _routed(binding: Sequence[str], words: Sequence[str]) -> bool:
    """AMQP's matching: `*` is one word, `#` any number of words, wherever it stands."""
    left = {0}  # how many words may have been matched so far
    for word in binding:
        if word == "#":
            left = set(range(min(left, default=len(words) + 1), len(words) + 1))
        else:
            left = {at + 1 for at in left if at < len(words) and word in ("*", words[at])}
    return len(words) in left
