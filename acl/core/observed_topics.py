"""What topics were used, said as templates: few, never wider than the rule that allowed them, and for any device.

Topics are chosen by whoever publishes, so what is kept of them is bounded, and a text that would read as a placeholder
is not taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from acl.core.analysis_filters import fewest, template_covers
from acl.core.values import Principal

MOST_FILTERS = 16
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_LEVELS = 12  # beyond, `#` says the rest
_LONGEST_LEVEL = 64
_LONGEST = 255
_KEPT = frozenset({"", "+", "#"})
_TELLING = 3  # an attribute's value of fewer characters may equal a level by chance


def generalise(rule_topic: str, used: str, principal: Principal) -> str:
    """The template of the topic name or filter `used`, which the rule with that template covers for `principal`.

    It covers `used` for the principal, and the rule covers it for everybody. Levels that a wildcard of the rule stands
    for are spelled out, as placeholders where they are the principal's own names or attributes.
    """
    if "+" not in rule_topic and "#" not in rule_topic:
        return rule_topic
    levels: list[str] = []
    told = used.split("/")
    ours = rule_topic.split("/")
    for position, level in enumerate(ours):
        if level == "#":
            levels += [_shown(text, principal) for text in told[position:]]
            break
        if position == len(told):
            return rule_topic  # `used` is not the rule's, or is a parent that `#` stands for in another spelling
        levels.append(_shown(told[position], principal) if level == "+" else level)
    if len(levels) > max(_MOST_LEVELS, len(ours)):
        levels = [*levels[: max(_MOST_LEVELS, len(ours) - 1)], "#"]
    found = "/".join(levels)
    return found if found and len(found) <= _LONGEST and template_covers(rule_topic, found) else rule_topic


def describe(topic: str, principal: Principal) -> str:
    """The same for a topic that no rule covers, such as one that was denied."""
    first = topic.partition("/")[0]
    is_told = first.startswith("$") and len(first) <= _LONGEST_LEVEL and first.isprintable()
    return generalise(f"{first}/#" if is_told else "#", topic, principal)


def summarise(rule_topic: str, filters: Iterable[str], *, most: int = MOST_FILTERS) -> tuple[str, ...]:
    """At most so many templates that cover all of `filters` and that the rule covers, in order.

    Where there are more, the deepest levels are said by `#`; () if that is no narrower than the rule.
    """
    found = fewest(filters)
    least = rule_topic.count("/") + 1
    while len(found) > most:
        depth = max(text.count("/") for text in found)
        deepest = [text for text in found if text.count("/") == depth]
        dropped = 2 if all(text.endswith("/#") for text in deepest) else 1
        if depth - dropped + 1 < least or not rule_topic.endswith("#"):
            return ()
        found = fewest(_cut(text, dropped) if text.count("/") == depth else text for text in found)
    return found


def _cut(template: str, dropped: int) -> str:
    """The template with `#` in place of its last levels, so many of them."""
    return "/".join([*template.split("/")[:-dropped], "#"])


def _shown(level: str, principal: Principal) -> str:
    if level in _KEPT:
        return level
    if len(level) > _LONGEST_LEVEL or "${" in level or not level.isprintable():
        return "+"
    own = (principal.client_id, "${client_id}"), (principal.auth_id, "${auth_id}"), (principal.domain, "${domain}")
    for value, placeholder in own:
        if level == value:
            return placeholder
    if len(level) >= _TELLING and level in principal.attributes.values():
        for name in sorted(principal.attributes):
            if principal.attributes[name] == level and _NAME.fullmatch(name):
                return f"${{attr.{name}}}"
    return level
