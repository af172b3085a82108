"""NanoMQ's ACL file as the rules of each principal, and how it is put together again.

A file that is as Gatehouse writes it has the rules of one principal after another, each about one name, and a last one
that denies the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from acl.core.values import Action
from brokers.core.effects import Flow
from brokers.core.nanomq.file import NanomqAction, NanomqRule, NanomqWho, NotNanomqAcl, parse, write
from brokers.core.nanomq.policy import CLOSING, LITERALLY

Rules = Mapping[NanomqWho, tuple[NanomqRule, ...]]
_NAMES = ("clientid", "username")
_ABOUT = {Action.PUBLISH: NanomqAction.PUBLISH, Action.SUBSCRIBE: NanomqAction.SUBSCRIBE}


def rules_in(text: str) -> Rules:
    """The rules about one principal each; none if NanoMQ could not read the text either."""
    try:
        rules = parse(text)
    except NotNanomqAcl:
        return {}
    found: dict[NanomqWho, list[NanomqRule]] = defaultdict(list)
    for rule in rules:
        if len(rule.who) == 1 and not rule.joined and rule.who[0].kind in _NAMES and rule.who[0].value != "#":
            found[rule.who[0]].append(rule)
    return {who: tuple(about) for who, about in found.items()}


def to_text(rules: Rules) -> str:
    """The file: same rules, same octets."""
    ordered = sorted(rules, key=lambda who: (who.kind, who.value))
    return write([*(rule for who in ordered for rule in rules[who]), CLOSING])


def flow(rules: Sequence[NanomqRule], action: Action) -> Flow:
    """The filters of one direction; a rule without topics is about all."""
    about = [rule for rule in rules if rule.action in (NanomqAction.BOTH, _ABOUT[action])]
    allows = {topic.removeprefix(LITERALLY) for rule in about if rule.allow for topic in rule.topics or ("#",)}
    denies = {topic for rule in about if not rule.allow for topic in rule.topics or ("#",)}
    return Flow(
        allows=frozenset(allows), denies=frozenset(topic for topic in denies if not topic.startswith(LITERALLY))
    )
