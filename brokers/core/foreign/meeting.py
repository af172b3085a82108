"""Which allow rules of elsewhere a deny meets, and what finding that out may cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from acl.core.index import FilterIndex
from acl.core.rules import RuleSpec
from acl.core.values import Effect
from brokers.core.foreign.outcome import Loss, Notes
from kernel.core.errors import Invalid

MOST_STEPS = 800_000


class ImportTooEntangled(Invalid):
    """The denies of the source meet its allow rules in more ways than are looked at in one import."""

    code = "import-too-entangled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A rule and where it comes from. `who` is whom it is about, as (kind of id, id); None: everyone."""

    rule: RuleSpec
    place: str
    source: str
    who: tuple[str, str] | None = None


class Effort:
    """What comparing may still cost: so that a file of a megabyte is read in a second, or refused."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def spend(self, steps: int) -> None:
        """Nothing, as long as there is enough. Raises ImportTooEntangled."""
        self._left -= steps
        if self._left < 0:
            raise ImportTooEntangled(
                "The denies of this source meet its allow rules in too many ways to compare them all: "
                "import it in parts, some users or some topics at a time."
            )


class Losers:
    """The allow rules that lose to a deny which they stand before: one note for each place, however many denies."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._lost: dict[tuple[str, str], dict[tuple[str, str], None]] = {}

    def add(self, allow: tuple[str, str], deny: tuple[str, str]) -> None:
        """Both as (place, source)."""
        self._lost.setdefault(allow, {})[deny] = None

    def tell(self, notes: Notes) -> None:
        """Adds the notes."""
        for (place, source), denies in self._lost.items():
            at, what = next(iter(denies))
            more = f" So do {len(denies) - 1} more." if len(denies) > 1 else ""
            why = f"It {self._verb} before the deny at {at}, which wins here: {what[:200]}{more}"
            notes.add(place, Loss.NARROWER, source, why)


class Allows:
    """The allow rules among rules, by their numbers, to find those that a deny meets."""

    def __init__(self, rules: Iterable[tuple[int, Sourced, str]], effort: Effort) -> None:
        self._effort = effort
        self._every, self._everyone = FilterIndex(), FilterIndex()
        self._of: dict[tuple[str, str], FilterIndex] = {}
        self._kinds: dict[str, FilterIndex] = {}
        self._rules: dict[int, Sourced] = {}
        for number, each, widest in rules:
            if each.rule.effect is Effect.ALLOW:
                self._rules[number] = each
                for index in (self._every, *self._indexes_of(each.who)):
                    index.add(widest, number)

    def _indexes_of(self, who: tuple[str, str] | None) -> list[FilterIndex]:
        if who is None:
            return [self._everyone]
        return [self._of.setdefault(who, FilterIndex()), self._kinds.setdefault(who[0], FilterIndex())]

    def meeting(self, deny: Sourced, widest: str) -> list[int]:
        """The numbers, rising, of those that can be about one principal and one action with it, and whose filters
        meet `widest`. Raises ImportTooEntangled.
        """
        found: list[int] = []
        for index in self._about(deny.who):
            before = index.steps
            found += index.intersecting(widest)
            self._effort.spend(index.steps - before)
        self._effort.spend(len(found))
        actions = deny.rule.actions
        return sorted(number for number in found if self._rules[number].rule.actions & actions)

    def _about(self, who: tuple[str, str] | None) -> list[FilterIndex]:
        """Where those are kept that can be about the same one: an id may belong to one with any id of another kind."""
        if who is None:
            return [self._every]
        others = [index for kind, index in self._kinds.items() if kind != who[0]]
        return [self._everyone, *([self._of[who]] if who in self._of else ()), *others]
