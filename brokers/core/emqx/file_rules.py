"""The rules of EMQX's acl.conf as values, `{Permission, Who, Action, Topics}.`, and as lines of that file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from acl.core.values import EVERY_QOS
from brokers.core.emqx.rule import EmqxAction
from brokers.core.emqx.terms import quoted


class WhoKind(StrEnum):
    """What a condition on the client is about."""

    ALL = "all"
    USERNAME = "username"
    CLIENTID = "clientid"
    CLIENT_ATTR = "client_attr"
    ZONE = "zone"
    LISTENER = "listener"
    ADDRESS = "ipaddrs"
    PROFILE = "security_profile"
    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A condition on the client. `value` is a regular expression with `regex`; `parts` are of `and` and `or`."""

    kind: WhoKind
    name: str = ""
    value: str = ""
    regex: bool = False
    addresses: tuple[str, ...] = ()
    parts: tuple[Who, ...] = ()


EVERYBODY = Who(kind=WhoKind.ALL)


class FileTopic(NamedTuple):
    """A topic of a rule; a literal one is compared as it stands."""

    topic: str
    literal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule:
    """One rule; `topics` None is the bare `all`, which `$`-levels fall under as well. `line` is where it was read."""

    allow: bool
    who: Who
    action: EmqxAction = EmqxAction.ALL
    topics: tuple[FileTopic, ...] | None = None
    qos: frozenset[int] = EVERY_QOS
    retain: bool | None = None
    line: int = field(default=0, compare=False)


def write_rule(rule: FileRule) -> str:
    """The rule as a line of the file."""
    effect = "allow" if rule.allow else "deny"
    if rule.who == EVERYBODY and rule == FileRule(allow=rule.allow, who=EVERYBODY):
        return f"{{{effect}, all}}."
    topics = "all" if rule.topics is None else f"[{', '.join(map(_write_topic, rule.topics))}]"
    return f"{{{effect}, {_write_who(rule.who)}, {_write_action(rule)}, {topics}}}."


def _write_topic(topic: FileTopic) -> str:
    return f"{{eq, {quoted(topic.topic)}}}" if topic.literal else quoted(topic.topic)


def _write_action(rule: FileRule) -> str:
    options = []
    if rule.qos != EVERY_QOS:
        options.append(f"{{qos, [{', '.join(map(str, sorted(rule.qos)))}]}}")
    if rule.retain is not None:
        options.append(f"{{retain, {'true' if rule.retain else 'false'}}}")
    return f"{{{rule.action.value}, [{', '.join(options)}]}}" if options else rule.action.value


def _write_who(who: Who) -> str:
    value = f"{{re, {quoted(who.value)}}}" if who.regex else quoted(who.value)
    match who.kind:
        case WhoKind.ALL:
            return "all"
        case WhoKind.AND | WhoKind.OR:
            return f"{{'{who.kind.value}', [{', '.join(map(_write_who, who.parts))}]}}"
        case WhoKind.ADDRESS:
            return f"{{ipaddrs, [{', '.join(map(quoted, who.addresses))}]}}"
        case WhoKind.CLIENT_ATTR:
            return f"{{client_attr, {quoted(who.name)}, {value}}}"
        case WhoKind.PROFILE:
            return f"{{security_profile, {who.value}}}"
    return f"{{{who.kind.value}, {value}}}"
