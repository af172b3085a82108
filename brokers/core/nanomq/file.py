"""NanoMQ's ACL file as values: `rules = [{"permit": ...}, ...]`, read and written.

It is HOCON; read is what the documentation shows: JSON objects with or without commas between them, and comments.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kernel.core.errors import Invalid

HEADER = "# Written by Gatehouse: the first rule that matches decides.\n"
_OPENING = re.compile(r"rules\s*[=:]?\s*\[")
_SKIPPED = re.compile(r"(?:\s|(?:#|//)[^\n]*)+")
_WHO = ("username", "clientid", "ipaddr")
_MEMBERS = {"permit", "action", "topics", "and", "or", *_WHO}


class NotNanomqAcl(Invalid):
    """The text is no ACL file of NanoMQ."""

    code = "not-nanomq-acl"


class NanomqAction(StrEnum):
    """What a rule is about."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    BOTH = "pubsub"


@dataclass(frozen=True, slots=True)
class NanomqWho:
    """A condition on the client: `kind` is username, clientid or ipaddr; the value `#` is everybody."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NanomqRule:
    """One rule. Without topics it is about all; several conditions are joined by `and` or by `or`."""

    allow: bool
    action: NanomqAction = NanomqAction.BOTH
    who: tuple[NanomqWho, ...] = ()
    joined: str = ""
    topics: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


def write(rules: Sequence[NanomqRule]) -> str:
    """The rules as the text of the file."""
    lines = (f"  {json.dumps(_document(rule), ensure_ascii=False)}" for rule in rules)
    return HEADER + "rules = [\n" + ",\n".join(lines) + "\n]\n"


def _document(rule: NanomqRule) -> dict[str, Any]:
    document: dict[str, Any] = {"permit": "allow" if rule.allow else "deny"}
    if rule.joined:
        document[rule.joined] = [{each.kind: each.value} for each in rule.who]
    else:
        document |= {each.kind: each.value for each in rule.who}
    if rule.action is not NanomqAction.BOTH:
        document["action"] = rule.action.value
    if rule.topics:
        document["topics"] = list(rule.topics)
    return document


def parse(artifact: str) -> tuple[NanomqRule, ...]:
    """The rules of the file in order. Raises NotNanomqAcl, which names the line of what is not understood."""
    return tuple(_rule_of(document, line) for document, line in _documents(artifact))


def _documents(text: str) -> Iterator[tuple[object, int]]:
    ends = [found.start() for found in re.finditer("\n", text)]
    position = _skip(text, 0)
    opening = _OPENING.match(text, position)
    if not opening:
        raise NotNanomqAcl(f"Line {bisect_left(ends, position) + 1}: the file begins with `rules = [`.")
    decoder = json.JSONDecoder()
    position = _skip(text, opening.end())
    while not text.startswith("]", position):
        line = bisect_left(ends, position) + 1
        try:
            document, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise NotNanomqAcl(f"Line {line}: a rule, which is a JSON object, or ] was expected here.") from error
        yield document, line
        position = _skip(text, position)
        if text.startswith(",", position):
            position = _skip(text, position + 1)
    if (position := _skip(text, position + 1)) < len(text):
        raise NotNanomqAcl(f"Line {bisect_left(ends, position) + 1}: nothing comes behind the rules.")


def _skip(text: str, position: int) -> int:
    found = _SKIPPED.match(text, position)
    return found.end() if found else position


def _rule_of(document: object, line: int) -> NanomqRule:
    if not isinstance(document, Mapping) or not set(document) <= _MEMBERS:
        raise NotNanomqAcl(f"Line {line}: a rule is an object with permit, action, topics, and whom it is about.")
    permit, action = document.get("permit"), document.get("action", "pubsub")
    topics = document.get("topics", [])
    if permit not in {"allow", "deny"} or action not in set(NanomqAction):
        raise NotNanomqAcl(f"Line {line}: permit is allow or deny, action is publish, subscribe or pubsub.")
    if not isinstance(topics, list) or not all(isinstance(topic, str) and topic for topic in topics):
        raise NotNanomqAcl(f"Line {line}: topics are a list of texts.")
    joined, who = _who_of(document, line)
    return NanomqRule(
        allow=permit == "allow",
        action=NanomqAction(action),
        who=who,
        joined=joined,
        topics=tuple(topics),
        line=line,
    )


def _who_of(document: Mapping[str, Any], line: int) -> tuple[str, tuple[NanomqWho, ...]]:
    given = [name for name in (*_WHO, "and", "or") if name in document]
    if not given:
        return "", ()
    if len(given) > 1:
        raise NotNanomqAcl(f"Line {line}: only one condition on the client is looked at; join several by and or or.")
    joined = given[0] if given[0] in {"and", "or"} else ""
    conditions = document[joined] if joined else [{given[0]: document[given[0]]}]
    if not isinstance(conditions, list) or not all(map(_is_condition, conditions)):
        raise NotNanomqAcl(f"Line {line}: a condition is a username, a clientid or an ipaddr, as a text.")
    return joined, tuple(NanomqWho(kind, value) for each in conditions for kind, value in each.items())


def _is_condition(condition: object) -> bool:
    if not isinstance(condition, Mapping):
        return False
    return set(condition) <= set(_WHO) and all(isinstance(value, str) for value in condition.values())
