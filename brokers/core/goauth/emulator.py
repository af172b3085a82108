"""How Mosquitto with mosquitto-go-auth decides (`postgres` and `redis` backends), for tests and for `enforced_as`.

Written from the plugin's sources. Nothing of it was seen running; what Mosquitto does before it asks was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from acl.core.topics import matches
from acl.core.values import Principal, Publish, Request, Subscribe
from brokers.core.goauth.postgresql import GoAuthRows
from brokers.core.goauth.redis import GoAuthKeys
from brokers.core.mosquitto.dynsec_emulator import refuses

_READ, _WRITE, _SUBSCRIBE = 1, 2, 4

Ask = Callable[[int, str], bool]  # what for, and the topic as it is spelled


def emulate_rows(rows: GoAuthRows, principal: Principal, request: Request) -> bool:
    """What the broker answers: a publish that passes, a subscription that is granted, a message that is delivered."""
    return _answer(lambda acc, topic: _by_rows(rows, principal, acc, topic), request)


def deliverable_by_rows(rows: GoAuthRows, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches the principal, who asked for `wanted`."""
    return _delivers(lambda acc, asked: _by_rows(rows, principal, acc, asked), wanted, topic)


def emulate_keys(keys: GoAuthKeys, principal: Principal, request: Request) -> bool:
    """What the broker answers: a publish that passes, a subscription that is granted, a message that is delivered."""
    return _answer(lambda acc, topic: _by_keys(keys, principal, acc, topic), request)


def deliverable_by_keys(keys: GoAuthKeys, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches the principal, who asked for `wanted`."""
    return _delivers(lambda acc, asked: _by_keys(keys, principal, acc, asked), wanted, topic)


def match(saved: str, given: str) -> bool:
    """Whether a topic, or a filter taken for one, falls under what is stored; `$` means nothing here."""
    words, wanted = given.split("/"), saved.split("/")
    for position, want in enumerate(wanted):
        if want == "#" and position == len(wanted) - 1:
            return True
        if position == len(words) or want not in {"+", words[position]}:
            return saved == given
    return len(words) == len(wanted)


def _answer(ask: Ask, request: Request) -> bool:
    if isinstance(request, Subscribe):
        return not refuses(request.spelled) and ask(_SUBSCRIBE, request.spelled)
    if refuses(request.topic):
        return False
    if isinstance(request, Publish):
        return not request.topic.startswith(("$SYS", "$CONTROL/")) and ask(_WRITE, request.topic)
    return ask(_READ, request.topic)


def _delivers(ask: Ask, wanted: Subscribe, topic: str) -> bool:
    """The subscription is asked about when it is made, and each message again."""
    granted = _answer(ask, wanted)
    return granted and matches(wanted.topic, topic) and not refuses(topic) and ask(_READ, topic)


def _by_rows(rows: GoAuthRows, principal: Principal, acc: int, topic: str) -> bool:
    """The view `mqtt_acl`, asked with `rw = acc`."""
    name = principal.auth_id
    roles = rows.members.get(name)
    saved = [row.topic for row in rows.own if row.whose == name and row.rw == acc]
    if roles is not None:
        saved += [row.topic for row in rows.roles if row.whose == roles and row.rw == acc]
    return any(match(each, topic) for each in _put_in(saved, principal))


def _by_keys(keys: GoAuthKeys, principal: Principal, acc: int, topic: str) -> bool:
    """The user's own sets as they are, and those for everybody with the values put in."""
    names = {_READ: ("racls", "rwacls"), _WRITE: ("wacls", "rwacls"), _SUBSCRIBE: ("sacls",)}[acc]
    own = [each for name in names for each in keys.sets.get(f"{principal.auth_id}:{name}", ())]
    common = [each for name in names for each in keys.sets.get(f"common:{name}", ())]
    return any(match(each, topic) for each in (*own, *_put_in(common, principal)))


def _put_in(topics: Iterable[str], principal: Principal) -> Iterable[str]:
    """Wherever %c and %u stand, and whatever the values hold."""
    return (topic.replace("%c", principal.client_id).replace("%u", principal.auth_id) for topic in topics)
