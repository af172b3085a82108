"""The rule object of EMQX: one form in its built-in database, in HTTP answers and in the `acl` claim of a JWT.

`eq ` before a topic takes it literally, placeholders too. What the API gives back is filled in and reordered, so both
sides are read into the same value: an absent `qos` is all three, an absent `retain` is `all`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from acl.core.values import EVERY_QOS
from kernel.core.errors import Invalid

LITERALLY = "eq "
_ACTIONS = {"pub": "publish", "sub": "subscribe", "pubsub": "all"}
_LEVELS = {"0": 0, "1": 1, "2": 2}
_RETAIN = {"all": None, "true": True, "1": True, "false": False, "0": False}


class NotEmqxRules(Invalid):
    """The text is not what EMQX keeps as rules."""

    code = "not-emqx-rules"


class EmqxAction(StrEnum):
    """What a rule is about."""

    __hash__ = str.__hash__  # that of Enum is no C

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmqxRule:
    """One rule. `literal` says that the topic is compared as it stands; `retain` None is either."""

    allow: bool
    action: EmqxAction
    topic: str
    literal: bool = False
    qos: frozenset[int] = EVERY_QOS
    retain: bool | None = None

    @property
    def place(self) -> tuple[object, ...]:
        """What rules are sorted by where their order means nothing."""
        retain = 2 if self.retain is None else int(self.retain)
        return self.topic, self.literal, self.action, self.allow, levels_of(self.qos), retain


@cache
def levels_of(qos: frozenset[int]) -> tuple[int, ...]:
    """The levels, sorted."""
    return tuple(sorted(qos))


def document_of(rule: EmqxRule) -> dict[str, Any]:
    """The rule as EMQX takes it; what would say nothing is left out."""
    document: dict[str, Any] = {
        "permission": "allow" if rule.allow else "deny",
        "action": rule.action.value,
        "topic": f"{LITERALLY}{rule.topic}" if rule.literal else rule.topic,
    }
    if rule.qos != EVERY_QOS:
        document["qos"] = sorted(rule.qos)
    if rule.retain is not None:
        document["retain"] = rule.retain
    return document


def rules_line(rules: Iterable[EmqxRule]) -> str:
    """The rules as JSON in one line."""
    return json.dumps([document_of(rule) for rule in rules], ensure_ascii=False)


def rules_of(documents: object) -> tuple[EmqxRule, ...]:
    """The rules that a JSON array tells; one with several `topics` becomes as many. Raises NotEmqxRules."""
    if not isinstance(documents, list):
        raise NotEmqxRules("Rules are a JSON array of objects.")
    return tuple(rule for number, each in enumerate(documents, start=1) for rule in _rules_of(each, number))


def _rules_of(document: object, number: int) -> Iterable[EmqxRule]:
    if not isinstance(document, Mapping):
        raise NotEmqxRules(f"Rule {number} is no JSON object.")
    permission, action = document.get("permission"), document.get("action")
    action = _ACTIONS.get(str(action), action)
    if permission not in {"allow", "deny"}:
        raise NotEmqxRules(f"Rule {number} needs a permission: write allow or deny.")
    if action not in set(EmqxAction):
        raise NotEmqxRules(f"Rule {number} needs an action: write publish, subscribe or all.")
    topics = document.get("topics", [document.get("topic")])
    if not isinstance(topics, list) or not all(isinstance(topic, str) and topic for topic in topics):
        raise NotEmqxRules(f"Rule {number} needs a topic, or a list of topics.")
    for topic in topics:
        yield EmqxRule(
            allow=permission == "allow",
            action=EmqxAction(action),
            topic=topic.removeprefix(LITERALLY),
            literal=topic.startswith(LITERALLY),
            qos=_qos_of(document.get("qos"), number),
            retain=_retain_of(document.get("retain"), number),
        )


def _qos_of(qos: object, number: int) -> frozenset[int]:
    """An integer, a list, or digits with commas between them."""
    if qos is None:
        return EVERY_QOS
    found: list[Any] = qos.split(",") if isinstance(qos, str) else qos if isinstance(qos, list) else [qos]
    levels = frozenset(_LEVELS.get(str(level), -1) for level in found)
    if not levels or not levels <= EVERY_QOS:
        raise NotEmqxRules(f"Rule {number} has a qos that is none of 0, 1 and 2.")
    return levels


def _retain_of(retain: object, number: int) -> bool | None:
    try:
        return None if retain is None else _RETAIN[str(retain).lower()]
    except KeyError:
        raise NotEmqxRules(f"Rule {number} has a retain that is none of true, false and all.") from None
