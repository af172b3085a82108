"""Rules of which the first that matches wins, as rules of which every deny wins.

A deny that only stands behind the allows it meets is without effect at its source, and is left out. One that stands
before some and behind others is kept: then those before it lose, and that is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from acl.core.topics import covers
from acl.core.values import Action, Effect
from brokers.core.foreign.meeting import Allows, Effort, Losers, Sourced
from brokers.core.foreign.outcome import Loss, Notes
from kernel.core.errors import Invalid

MOST_RULES = 40_000


class ImportTooLarge(Invalid):
    """The source has more rules than are read in one import."""

    code = "import-too-large"


def settled(rules: Iterable[Sourced], notes: Notes) -> list[Sourced]:
    """Those of the rules, asked in this order until one matches, that together allow no more when every deny wins.

    Raises ImportTooLarge, ImportTooEntangled.
    """
    ordered = list(islice(rules, MOST_RULES + 1))
    if len(ordered) > MOST_RULES:
        raise ImportTooLarge(f"The source has more than {MOST_RULES} rules: import it in parts, some users at a time.")
    allows = Allows(((number, each, widest(each.rule.topic)) for number, each in enumerate(ordered)), Effort())
    kept: list[Sourced] = []
    losers = Losers("stands")
    for number, each in enumerate(ordered):
        if each.rule.effect is Effect.ALLOW:
            kept.append(each)
            continue
        met = allows.meeting(each, widest(each.rule.topic))
        if met and met[-1] < number:
            why = "It stands behind all that it could take away, and what no rule allows is denied anyway."
            notes.add(each.place, Loss.SAME, each.source, why)
            continue
        kept.append(each)
        for before in met:
            if before > number:
                break
            losers.add((ordered[before].place, ordered[before].source), (each.place, each.source))
    losers.tell(notes)
    return kept


def widest(topic: str) -> str:
    """A filter under which whatever the template can stand for falls: `+` for each level with a placeholder."""
    return "/".join("+" if "${" in level else level for level in topic.split("/"))


def note_overlaps(rules: Sequence[Sourced], notes: Notes) -> None:
    """Notes each deny that meets a part of what may be subscribed to, once for its place.

    Brokers grant such a subscription and withhold messages, if that; here it is refused. Raises ImportTooEntangled.
    """
    subscribed = Allows(
        (
            (number, each, widest(each.rule.topic))
            for number, each in enumerate(rules)
            if Action.SUBSCRIBE in each.rule.actions
        ),
        Effort(),
    )
    told: set[tuple[str, str]] = set()
    for deny in rules:
        if deny.rule.effect is Effect.ALLOW or Action.SUBSCRIBE not in deny.rule.actions:
            continue
        if (deny.place, deny.source) in told:
            continue
        met = (rules[number].rule.topic for number in subscribed.meeting(deny, widest(deny.rule.topic)))
        if part := next((topic for topic in met if not covers(deny.rule.topic, topic)), None):
            told.add((deny.place, deny.source))
            why = f"A subscription to more than it denies is refused here as a whole: one to {part[:200]}, for example."
            notes.add(deny.place, Loss.NARROWER, deny.source, why)
