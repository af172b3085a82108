"""How EMQX judges its acl.conf, for tests and for `enforced_as`. It knows nothing of policy.

The client's address, zone and listener are not known here, so a rule about them does not match. Where no rule matches
at all, the answer is no: `no_match` has to be deny.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from acl.core.topics import matches
from acl.core.values import Principal, Publish, Receive, Request, Subscribe
from brokers.core.emqx.emulator import beyond_reach, substituted, words_match
from brokers.core.emqx.file_rules import FileRule, FileTopic, Who, WhoKind
from brokers.core.emqx.rule import EmqxAction


def emulate(rules: Sequence[FileRule], principal: Principal, request: Request) -> bool:
    """What the first rule that matches says."""
    if isinstance(request, Receive):
        return any(emulate(rules, principal, Subscribe(topic=request.topic, qos=qos)) for qos in (0, 1, 2))
    if beyond_reach(request):
        return False
    for rule in rules:
        if _about(rule, request) and _is_met(rule.who, principal) and _has(rule, principal, request.topic):
            return rule.allow
    return False


def deliverable(rules: Sequence[FileRule], principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches a client that asked for `wanted`: deliveries are not filtered."""
    return emulate(rules, principal, wanted) and matches(wanted.topic, topic)


def _about(rule: FileRule, request: Publish | Subscribe) -> bool:
    if request.qos not in rule.qos:
        return False
    if isinstance(request, Subscribe):
        return rule.action is not EmqxAction.PUBLISH
    return rule.action is not EmqxAction.SUBSCRIBE and rule.retain in {None, request.retain}


def _is_met(who: Who, principal: Principal) -> bool:
    if who.kind is WhoKind.ALL:
        return True
    if who.kind is WhoKind.AND:
        return all(_is_met(part, principal) for part in who.parts)
    if who.kind is WhoKind.OR:
        return any(_is_met(part, principal) for part in who.parts)
    actual = _value(who, principal)
    if actual is None:
        return False
    return _is_found(who.value, actual) if who.regex else who.value == actual


def _is_found(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text; one that only PCRE knows counts as not found."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _value(who: Who, principal: Principal) -> str | None:
    """What the condition looks at; None if the client has none."""
    if who.kind is WhoKind.USERNAME:
        return principal.username or None
    if who.kind is WhoKind.CLIENTID:
        return principal.client_id
    if who.kind is WhoKind.CLIENT_ATTR and who.name in principal.attributes:
        return str(principal.attributes[who.name])
    return None


def _has(rule: FileRule, principal: Principal, topic: str) -> bool:
    return rule.topics is None or any(_topic_matches(each, principal, topic) for each in rule.topics)


def _topic_matches(own: FileTopic, principal: Principal, topic: str) -> bool:
    if own.literal:
        return own.topic == topic
    filled = substituted(own.topic, principal)
    return filled is not None and words_match(topic, filled)
