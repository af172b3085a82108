"""How a NATS server judges permissions, for tests and for `enforced_as`. It knows nothing of policy."""

from __future__ import annotations

from collections.abc import Iterable

from acl.core.values import Publish, Receive, Request, Subscribe
from brokers.core.nats.policy import NatsPermissions

# What the server itself subscribes to for a client with subscriptions of QoS 1, and besides for those of QoS 2.
_SERVED = (["$MQTT", "sub", "an id"], ["$MQTT", "deliver", "pubrel", "an id"])


def emulate(granted: NatsPermissions, request: Request) -> bool:
    """What the server answers: a publish that passes, a subscription that is granted, a message that is delivered.

    A message is delivered if a subscription to just its topic would be.
    """
    if isinstance(request, Publish):
        return _may(_literal(request.topic), granted.publish_allow, granted.publish_deny)
    if isinstance(request, Receive):
        return _may(_literal(request.topic), _plain(granted.subscribe_allow), _plain(granted.subscribe_deny))
    return may_subscribe(granted, _spelled(request), qos=request.qos)


def may_subscribe(granted: NatsPermissions, filter: str, *, qos: int = 0) -> bool:
    """Whether SUBACK grants the filter as it stands in the SUBSCRIBE packet."""
    subjects = _subscribed(filter)
    if any(_any_matches(_plain(granted.subscribe_deny), served) for served in _SERVED[:qos]):
        return False
    allow, deny = _plain(granted.subscribe_allow), _plain(granted.subscribe_deny)
    return bool(subjects) and all(subject[0] != "$MQTT" and _may(subject, allow, deny) for subject in subjects)


def deliverable(granted: NatsPermissions, filter: str, topic: str, *, qos: int = 0) -> bool:
    """Whether a message on `topic` reaches a client that asked for `filter`."""
    if not may_subscribe(granted, filter, qos=qos):
        return False
    tokens = _literal(topic)
    hidden = topic.startswith("$") and filter[0] in "+#*>"
    met = any(_matches(subject, tokens) for subject in _subscribed(filter)) and not hidden
    return met and bool(tokens) and not _any_matches(_plain(granted.subscribe_deny), tokens)


def _spelled(request: Subscribe) -> str:
    return request.topic if request.group is None else f"$share/{request.group}/{request.topic}"


def _plain(subjects: Iterable[str]) -> list[str]:
    """Those that are about plain subscriptions: with a blank in it one is about a queue, which MQTT has none of."""
    return [subject for subject in subjects if len(subject.split()) == 1]


def _may(tokens: list[str], allow: Iterable[str], deny: Iterable[str]) -> bool:
    return bool(tokens) and _any_matches(allow, tokens) and not _any_matches(deny, tokens)


def _any_matches(subjects: Iterable[str], tokens: list[str]) -> bool:
    return any(_matches(subject.split("."), tokens) for subject in subjects)


def _matches(pattern: list[str], tokens: list[str]) -> bool:
    """`*` matches any token, also the `*` and `>` of a subscription: the server looks wildcards up like words."""
    for position, part in enumerate(pattern):
        if part == ">":
            return len(tokens) > position
        if position >= len(tokens) or part not in ("*", tokens[position]):
            return False
    return len(pattern) == len(tokens)


def _literal(topic: str) -> list[str]:
    """The tokens of a published topic; none if the server closes the connection over it."""
    if not topic or any(character <= " " or character == "\x7f" for character in topic):
        return []
    return [level.replace(".", "//") or "/" for level in topic.split("/")]


def _subscribed(filter: str) -> list[list[str]]:
    """The subjects of a subscription, as tokens; none if it is refused. A level `*` or `>` works as a wildcard."""
    tokens = [{"+": "*", "#": ">"}.get(token, token) for token in _literal(filter)]
    if ">" in tokens[:-1] or not tokens:
        return []
    return [tokens, tokens[:-1]] if tokens[-1] == ">" and len(tokens) > 1 else [tokens]
