"""Rules of which the first that matches wins, as rules of which every deny wins.

A deny that only stands behind the allows it meets is without effect at its source, and is left out. One that stands
before some and behind others is kept: then those before it lose, and that is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acl.core.index import FilterIndex
from acl.core.rules import RuleSpec
from acl.core.topics import covers
from acl.core.values import Action, Effect
from brokers.core.foreign import Loss, Notes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A rule and where it comes from. `who` is whom it is about, as (kind of id, id); None: everyone."""

    rule: RuleSpec
    place: str
    source: str
    who: tuple[str, str] | None = None


def settled(ordered: Sequence[Sourced], notes: Notes) -> list[Sourced]:
    """Those of the rules, asked in this order until one matches, that together allow no more when every deny wins."""
    allows = FilterIndex()
    for number, each in enumerate(ordered):
        if each.rule.effect is Effect.ALLOW:
            allows.add(widest(each.rule.topic), number)
    kept: list[Sourced] = []
    for number, each in enumerate(ordered):
        if each.rule.effect is Effect.ALLOW:
            kept.append(each)
            continue
        met = [place for place in allows.intersecting(widest(each.rule.topic)) if _meet(ordered[place], each)]
        before = [place for place in met if place < number]
        if before and before == met:
            why = "It stands behind all that it could take away, and what no rule allows is denied anyway."
            notes.add(each.place, Loss.SAME, each.source, why)
            continue
        kept.append(each)
        for place in before:
            why = f"It stands before the deny at {each.place}, which wins here: {each.source}"
            notes.add(ordered[place].place, Loss.NARROWER, ordered[place].source, why)
    return kept


def widest(topic: str) -> str:
    """A filter under which whatever the template can stand for falls: `+` for each level with a placeholder."""
    return "/".join("+" if "${" in level else level for level in topic.split("/"))


def _meet(allow: Sourced, deny: Sourced) -> bool:
    """Whether both can be about one principal and one action; their filters meet."""
    if allow.who and deny.who and allow.who[0] == deny.who[0] and allow.who[1] != deny.who[1]:
        return False
    return bool(allow.rule.actions & deny.rule.actions)


def note_overlaps(rules: Sequence[Sourced], notes: Notes) -> None:
    """Notes each deny that meets a part of what may be subscribed to.

    Brokers grant such a subscription and withhold messages, if that; here it is refused.
    """
    subscribed = FilterIndex()
    for number, each in enumerate(rules):
        if each.rule.effect is Effect.ALLOW and Action.SUBSCRIBE in each.rule.actions:
            subscribed.add(widest(each.rule.topic), number)
    for deny in rules:
        if deny.rule.effect is Effect.ALLOW or Action.SUBSCRIBE not in deny.rule.actions:
            continue
        met = subscribed.intersecting(widest(deny.rule.topic))
        parts = (rules[number].rule.topic for number in met if _meet(rules[number], deny))
        if part := next((topic for topic in parts if not covers(deny.rule.topic, topic)), None):
            why = f"A subscription to more than it denies is refused here as a whole: one to {part[:200]}, for example."
            notes.add(deny.place, Loss.NARROWER, deny.source, why)
