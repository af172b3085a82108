"""How EMQX 5.8 to 6 judges rule objects, for tests and for `enforced_as`. It knows nothing of policy.

From the source: emqx_authz_rule, emqx_topic, and emqx_channel for what is taken off a filter before it is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from acl.core.topics import matches
from acl.core.values import Principal, Publish, Receive, Request, Subscribe
from brokers.core.emqx.rule import EmqxAction, EmqxRule

MOST_LEVELS = 128
_PLACEHOLDER = re.compile(r"\$\{(clientid|username|cert_common_name|client_attrs\.[A-Za-z0-9_.-]+)\}")
_TAKEN_OFF = ("$queue/", "$exclusive/", "$share/")


def emulate(
    lists: Mapping[str, tuple[EmqxRule, ...]], principal: Principal, request: Request, *, behind: bool = False
) -> bool:
    """What EMQX answers who was given one of these lists at CONNECT. Who was given none did not get in.

    A list that says nothing of the request passes it on: `behind` is what the authorisers and `no_match` say to it,
    no if they are kept as `compiler.BEHIND` asks.
    """
    if principal.auth_id not in lists:
        return False
    answer = decided(lists[principal.auth_id], principal, request)
    return behind if answer is None else answer


def deliverable(lists: Mapping[str, tuple[EmqxRule, ...]], principal: Principal, wanted: Subscribe, topic: str) -> bool:
    """Whether a message on `topic` reaches a client that asked for `wanted`: deliveries are not filtered."""
    return emulate(lists, principal, wanted) and matches(wanted.topic, topic)


def decided(rules: Iterable[EmqxRule], principal: Principal, request: Request) -> bool | None:
    """What the first rule that matches says; None if none does: then what stands behind the rules decides.

    To receive is to subscribe to just the topic, in some QoS.
    """
    if isinstance(request, Receive):
        rules = tuple(rules)
        answers = [decided(rules, principal, Subscribe(topic=request.topic, qos=qos)) for qos in (0, 1, 2)]
        return next((answer for answer in (True, None) if answer in answers), False)
    if beyond_reach(request):
        return False
    for rule in rules:
        if _about(rule, request) and _topic_matches(rule, principal, request.topic):
            return rule.allow
    return None


def beyond_reach(request: Publish | Subscribe) -> bool:
    """Whether nobody can ask for that: too deep, or a filter that EMQX takes for a subscription to what is behind.

    The text `$queue/a` in a SUBSCRIBE is one to `a` in a group of its own: ask about that.
    """
    taken = isinstance(request, Subscribe) and request.topic.startswith(_TAKEN_OFF)
    return taken or request.topic.count("/") >= MOST_LEVELS


def _about(rule: EmqxRule, request: Publish | Subscribe) -> bool:
    if request.qos not in rule.qos:
        return False
    if isinstance(request, Subscribe):
        return rule.action is not EmqxAction.PUBLISH
    return rule.action is not EmqxAction.SUBSCRIBE and rule.retain in {None, request.retain}


def _topic_matches(rule: EmqxRule, principal: Principal, topic: str) -> bool:
    if rule.literal:
        return rule.topic == topic
    filled = substituted(rule.topic, principal)
    return filled is not None and words_match(topic, filled)


def substituted(topic: str, principal: Principal) -> str | None:
    """The topic with its placeholders filled in as they are; None if one has no value: the rule does not match then."""
    cn = principal.certificate.cn if principal.certificate else ""
    values = {"clientid": principal.client_id, "username": principal.username, "cert_common_name": cn}
    values |= {f"client_attrs.{name}": str(value) for name, value in principal.attributes.items()}
    if any(not values.get(name) for name in _PLACEHOLDER.findall(topic)):
        return None
    return _PLACEHOLDER.sub(lambda found: values[found[1]], topic)


def words_match(asked: str, rule: str) -> bool:
    """Whether the words of the asked name or filter match those of a rule; to a rule's `+` any word will do."""
    if asked.startswith("$") and rule[0] in "+#":
        return False
    words, rules = asked.split("/"), rule.split("/")
    for position, word in enumerate(rules):
        if word == "#" and position == len(rules) - 1:
            return True
        if position == len(words) or word not in ("+", words[position]):
            return False
    return len(words) == len(rules)
