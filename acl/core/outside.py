"""The allow rules of every domain that do not keep to its own topics, to find those that meet a rule of another."""

from __future__ import annotations

from acl.core.analysis_filters import common_part
from acl.core.index import FilterIndex
from acl.core.values import Action, Rule

MOST_STEPS = 1_000_000
_STEPS_OF_A_PAIR = 20
_HEARS = {Action.PUBLISH: Action.SUBSCRIBE, Action.SUBSCRIBE: Action.PUBLISH}


class OutsideRules:
    """Rules by their filters, each once in its domain. What comparing with them costs is bounded for all together."""

    def __init__(self) -> None:
        self._indexes = {action: FilterIndex() for action in Action}
        self._rules: list[tuple[str, str]] = []
        self._known: set[tuple[Action, str, str]] = set()
        self._left = MOST_STEPS

    def add(self, rule: Rule, *, domain: str) -> None:
        """Adds an allow rule of the domain, which is spelled out in it."""
        for action in rule.actions:
            key = (action, domain, rule.topic)
            if key not in self._known:
                self._known.add(key)
                self._indexes[action].add(_widest(rule.topic), len(self._rules))
                self._rules.append((domain, rule.topic))

    def meets(self, rule: Rule, *, domain: str) -> bool | None:
        """Whether a rule of another domain publishes what this one hears, or hears what it publishes.

        None if that was not found out, since too much was compared already.
        """
        for action in rule.actions:
            index, before = self._indexes[_HEARS[action]], self._indexes[_HEARS[action]].steps
            if self._left <= 0:
                return None
            met = index.intersecting(_widest(rule.topic))
            self._left -= index.steps - before + len(met)
            for other, topic in (self._rules[number] for number in met):
                if other == domain:
                    continue
                if self._left <= 0:
                    return None
                self._left -= _STEPS_OF_A_PAIR
                if common_part(rule.topic, topic):
                    return True
        return False


def _widest(topic: str) -> str:
    return "/".join("+" if "${" in level else level for level in topic.split("/"))
