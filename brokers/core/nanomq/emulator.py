"""How NanoMQ judges its ACL file, for tests and for `enforced_as`. It knows nothing of policy.

From the source: auth_acl and topic_filter. The client's address is not known here. Where no rule matches, the answer
is yes, as `no_match` is as it comes.
"""

from __future__ import annotations

from collections.abc import Sequence

from acl.core.topics import matches
from acl.core.values import Principal, Publish, Receive, Request, Subscribe
from brokers.core.nanomq.file import NanomqAction, NanomqRule, NanomqWho

_UNSAFE = frozenset("+#/")


def emulate(rules: Sequence[NanomqRule], principal: Principal, request: Request) -> bool:
    """What the first rule that matches says. A shared subscription is asked about as it is spelled."""
    if isinstance(request, Receive):
        request = Subscribe(topic=request.topic)
    topic = request.topic if isinstance(request, Publish) else request.spelled
    about = NanomqAction.PUBLISH if isinstance(request, Publish) else NanomqAction.SUBSCRIBE
    joins = True  # once a rule with `and` has failed, all later ones do
    for rule in rules:
        if rule.action not in {NanomqAction.BOTH, about}:
            continue
        if rule.joined == "and":
            joins = joins and all(_is_met(each, principal) for each in rule.who)
        if not (joins if rule.joined == "and" else _concerns(rule, principal)):
            continue
        met = _has(rule, principal, topic)
        if met is None:
            return False
        if met:
            return rule.allow
    return True


def deliverable(rules: Sequence[NanomqRule], principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches a client that asked for `wanted`: deliveries are not filtered."""
    return emulate(rules, principal, wanted) and matches(wanted.topic, topic)


def _concerns(rule: NanomqRule, principal: Principal) -> bool:
    return not rule.who or any(_is_met(each, principal) for each in rule.who)


def _is_met(who: NanomqWho, principal: Principal) -> bool:
    """The value `#` is everybody."""
    actual = {"username": principal.username, "clientid": principal.client_id}.get(who.kind)
    return who.value == "#" or (bool(actual) and who.value == actual)


def _has(rule: NanomqRule, principal: Principal, topic: str) -> bool | None:
    """Whether the topic falls under the rule; None if a value would inject, which refuses the whole request."""
    values = {"${clientid}": principal.client_id, "${username}": principal.username}
    for own in rule.topics:
        filled = own
        for placeholder, value in values.items():
            if placeholder in own and value:
                if _UNSAFE & set(value):
                    return None
                filled = filled.replace(placeholder, value)
        if filled[1:] == topic if filled[0] == "@" and len(filled) > 1 else words_match(filled, topic):
            return True
    return not rule.topics


def words_match(rule: str, asked: str) -> bool:
    """Whether the words of the asked name or filter match those of a rule; `$` means nothing."""
    if rule == asked:
        return True
    rules, words = rule.split("/"), asked.split("/")
    for position, own in enumerate(rules):
        if own == "#" and (position == len(words) or words[position] != "#"):
            return True
        if position == len(words) or own not in ("+", words[position]):
            return False
    return len(rules) == len(words)
