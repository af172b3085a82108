"""How VerneMQ judges ACLs (2.2, `vmq_topic:match`, `vmq_diversity_cache`, `vmq_acl`). It knows nothing of policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from acl.core.topics import InvalidTopic, matches, valid_filter
from acl.core.values import EVERY_QOS, Principal, Publish, Receive, Request, Subscribe
from brokers.core.vernemq.acl import Access, AclFile
from brokers.core.vernemq.postgresql import Item, Row, Rows

_DEPTH = 10  # topic_max_depth

Asked = Publish | Subscribe
Judge = Callable[[Asked, str], bool]  # and the topic as it is spelled


def emulate_rows(rows: Rows, principal: Principal, request: Request) -> bool:
    """What the broker answers to the principal that holds these rows."""
    return _answer(lambda asked, spelled: _by_row(rows, principal, asked, spelled), request)


def deliverable_rows(rows: Rows, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches the principal that asked for `wanted`: deliveries are not judged."""
    return emulate_rows(rows, principal, wanted) and matches(wanted.topic, topic)


def emulate_file(acl: AclFile, principal: Principal, request: Request) -> bool:
    """What the broker that has read the file answers to the principal."""
    return _answer(lambda asked, spelled: _by_file(acl, principal, asked, spelled), request)


def deliverable_file(acl: AclFile, principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches the principal that asked for `wanted`: deliveries are not judged."""
    return emulate_file(acl, principal, wanted) and matches(wanted.topic, topic)


def match(topic: str, acl: str) -> bool:
    """Whether a topic, or a filter taken for one, falls under the filter of an ACL; `$` means nothing here."""
    return _match(topic.split("/"), acl.split("/"))


def _match(words: Sequence[str], wanted: Sequence[str]) -> bool:
    for position, want in enumerate(wanted):
        if want == "#" and position == len(wanted) - 1:
            return True
        if position == len(words) or want not in {"+", words[position]}:
            return False
    return len(words) == len(wanted)


def _answer(judge: Judge, request: Request) -> bool:
    """A message is delivered if some subscription to just its topic is granted."""
    if isinstance(request, Receive):
        asked = [
            Subscribe(topic=request.topic, qos=qos, group=group) for qos in EVERY_QOS for group in (None, "g", "h")
        ]
        return any(_answer(judge, each) for each in asked)
    spelled = request.spelled if isinstance(request, Subscribe) else request.topic
    return spelled.count("/") < _DEPTH and judge(request, spelled)


def _by_row(rows: Rows, principal: Principal, asked: Asked, spelled: str) -> bool:
    """A row for the very client id is the only one that counts; without any the client can not log in."""
    name, client_id = principal.auth_id, principal.client_id
    row = rows.get(("", client_id, name)) or rows.get(("", "*", name))
    return row is not None and any(_meets(item, row, principal, asked, spelled) for item in _items(row, asked))


def _items(row: Row, asked: Asked) -> Iterable[Item]:
    return row.publish if isinstance(asked, Publish) else row.subscribe


def _meets(item: Item, row: Row, principal: Principal, asked: Asked, spelled: str) -> bool:
    if isinstance(asked, Publish) and asked.retain and not item.allowed_retain:
        return False
    pattern = _substituted(item.pattern, principal, row.mountpoint)
    return asked.qos <= item.max_qos and _match(spelled.split("/"), pattern)


def _by_file(acl: AclFile, principal: Principal, asked: Asked, spelled: str) -> bool:
    own = acl.users.get(principal.auth_id, Access())
    patterns = [_substituted(pattern, principal, "") for pattern in _filters(acl.patterns, asked)]
    lines = [filter.split("/") for filter in (*_filters(acl.everybody, asked), *_filters(own, asked))]
    return any(_match(spelled.split("/"), words) for words in (*lines, *patterns))


def _filters(access: Access, asked: Asked) -> Iterable[str]:
    """Those that the broker could read."""
    return filter(_is_valid, access.write if isinstance(asked, Publish) else access.read)


def _is_valid(text: str) -> bool:
    try:
        valid_filter(text)
    except InvalidTopic:
        return False
    return text.count("/") < _DEPTH and not (text.startswith("$share/") and text.count("/") < 2)


def _substituted(pattern: str, principal: Principal, mountpoint: str) -> Sequence[str]:
    """The levels; a value goes in as a level of its own, as it is: a client id `+` is a wildcard."""
    if not _is_valid(pattern):
        return ("\0",)  # no topic has that
    values: Mapping[str, str] = {"%c": principal.client_id, "%u": principal.auth_id, "%m": mountpoint}
    return [values.get(level, level) for level in pattern.split("/")]
