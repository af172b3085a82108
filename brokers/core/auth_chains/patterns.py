"""Patterns of authentication chains: few of the regular expressions, matched in bounded time whatever a client sends.

A pattern is a row of pieces that matches a whole text: texts, and characters of a class so and so many times, greedily.
Named groups may be around some of them. There are no alternatives, no groups in groups, nothing lazy: a text is gone
through once for each piece, and nothing is ever tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

MOST_CHARACTERS = 256
"""Of a text that may match at all."""
MOST_PIECES = 40
MOST_PATTERN = 300
_TOKEN = re.compile(
    r"""
    \(\?P?<(?P<open>[a-z][a-z0-9_]{0,31})> | (?P<close>\))
    | (?P<class>\[\^?(?:\\.|[^]\\[^])+\] | \\[dw] | \.)
    | \\(?P<escaped>[^A-Za-z0-9]) | (?P<plain>[^][\\(){}|.^$*+?])
    """,
    re.VERBOSE | re.DOTALL,
)
_REPEAT = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<least>\d{1,3})(?P<comma>,(?P<most>\d{1,3})?)?\})(?P<odd>[?+*{]?)")
_ONE = r"(?:\\(?P<{0}>[^A-Za-z0-9])|(?P<{1}>[^\\]))"
_MEMBER = re.compile(rf"\\(?P<set>[dw])|{_ONE.format('e1', 'c1')}(?:-{_ONE.format('e2', 'c2')})?")
_SETS = {"d": (("0", "9"),), "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))}
_SIGNS = {"*": (0, MOST_CHARACTERS), "+": (1, MOST_CHARACTERS), "?": (0, 1)}


class PatternFault(Exception):
    """The text is no pattern; the message says why."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as it stands."""

    text: str
    group: str

    def lengths(self, text: str) -> list[int]:
        """For each position, the longest that matches there; shorter ones do not."""
        return [len(self.text) if text.startswith(self.text, at) else -1 for at in range(len(text) + 1)]

    @property
    def least(self) -> int:
        """How many characters match at least."""
        return len(self.text)


@dataclass(frozen=True, slots=True)
class _Run:
    """Characters within the ranges, or outside of them, `least` to `most` times."""

    ranges: tuple[tuple[str, str], ...]
    outside: bool
    least: int
    most: int
    group: str

    def lengths(self, text: str) -> list[int]:
        """For each position, the longest that matches there; -1 if it is too short."""
        found, run = [0], 0
        for character in reversed(text):
            inside = any(low <= character <= high for low, high in self.ranges)
            run = 0 if inside is self.outside else run + 1
            found.append(run)
        return [-1 if run < self.least else min(run, self.most) for run in reversed(found)]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What `parse_pattern` made of its text."""

    pieces: tuple[_Text | _Run, ...]
    groups: tuple[str, ...]

    def match(self, text: str) -> Mapping[str, str] | None:
        """What the groups hold if the whole text matches, each piece being as long as it can; else None."""
        if len(text) > MOST_CHARACTERS:
            return None
        ways = list(self._ways(text))
        if not ways[-1][0][0]:
            return None
        at, held = 0, dict.fromkeys(self.groups, "")
        for (_, lengths), (ends, _), piece in zip(ways[:0:-1], ways[-2::-1], self.pieces, strict=True):
            length = next(many for many in range(lengths[at], piece.least - 1, -1) if ends[at + many])
            if piece.group:
                held[piece.group] += text[at : at + length]
            at += length
        return held

    def _ways(self, text: str) -> Iterator[tuple[list[bool], list[int]]]:
        """From the last piece to the first: from where the rest matches, and how long the piece may be there."""
        size = len(text)
        ends = [False] * size + [True]
        yield ends, []
        for piece in reversed(self.pieces):
            lengths = piece.lengths(text)
            following = _next_of(ends)
            ends = [length >= 0 and following[at + piece.least] <= at + length for at, length in enumerate(lengths)]
            yield ends, lengths

    def tells(self, group: str) -> bool:
        """Whether the text that matched is known once the group is: nothing beside it may be this or that."""
        return all(isinstance(piece, _Text) or piece.group == group for piece in self.pieces)


def _next_of(ends: list[bool]) -> list[int]:
    """For each position, the first at or behind it that is one of `ends`; beyond the text if none is."""
    found, nearest = [], len(ends)
    for at in range(len(ends) - 1, -1, -1):
        nearest = at if ends[at] else nearest
        found.append(nearest)
    return found[::-1]


@lru_cache(maxsize=256)
def parse_pattern(text: str) -> Pattern:
    """The pattern. `^` before it and `$` behind it say what holds anyway. Raises PatternFault."""
    if not 1 <= len(text) <= MOST_PATTERN:
        raise PatternFault(f"Give a pattern of at most {MOST_PATTERN} characters.")
    body = text.removeprefix("^")
    ends = body.endswith("$") and not body.endswith("\\$")
    reader = _Reader(body[:-1] if ends else body)
    pieces = tuple(reader.pieces())
    if len(pieces) > MOST_PIECES:
        raise PatternFault(f"The pattern has more than {MOST_PIECES} pieces: make it simpler.")
    return Pattern(pieces, tuple(reader.groups))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._group = text, 0, ""
        self.groups: list[str] = []

    def pieces(self) -> Iterator[_Text | _Run]:
        """Each piece; texts that follow each other are one."""
        plain = ""
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise PatternFault(f"{self._text[self._at :][:20]!r} is not understood: {_KNOWN}")
            self._at = found.end()
            character = found["escaped"] or found["plain"]
            repeat = self._repeat() if character or found["class"] else None
            if character and repeat is None:
                plain += character
                continue
            if plain:
                yield _Text(plain, self._group)
                plain = ""
            if found["open"] or found["close"]:
                self._turn(found["open"])
            else:
                ranges, outside = (((character, character),), False) if character else _ranges(found["class"])
                yield _Run(ranges, outside, *(repeat or (1, 1)), self._group)
        if self._group:
            raise PatternFault(f"The group {self._group} does not end.")
        if plain:
            yield _Text(plain, "")

    def _turn(self, opened: str | None) -> None:
        if (opened and self._group) or not (opened or self._group):
            raise PatternFault(
                "Groups stand beside each other, not within: each begins with (?P<name> and ends with )."
            )
        if opened in self.groups:
            raise PatternFault(f"There are two groups {opened}.")
        if opened:
            self.groups.append(opened)
        elif _REPEAT.match(self._text, self._at):
            raise PatternFault("A group stands there once: make the step optional instead, or use two of them.")
        self._group = opened or ""

    def _repeat(self) -> tuple[int, int] | None:
        found = _REPEAT.match(self._text, self._at)
        if found is None:
            return None
        if found["odd"]:
            raise PatternFault("A piece is as long as it can be: leave out what stands behind *, +, ? or }.")
        self._at = found.end()
        if found["sign"]:
            return _SIGNS[found["sign"]]
        least = int(found["least"])
        most = int(found["most"]) if found["most"] else MOST_CHARACTERS if found["comma"] else least
        if not least <= most <= MOST_CHARACTERS:
            raise PatternFault(f"{found[0]} is no range up to {MOST_CHARACTERS}.")
        return least, most


def _ranges(text: str) -> tuple[tuple[tuple[str, str], ...], bool]:
    """The ranges of a class, and whether it is what stands outside of them."""
    if text == ".":
        return (), True
    if text.startswith("\\"):
        return _SETS[text[1]], False
    outside = text.startswith("[^")
    inner, at = text[2 if outside else 1 : -1], 0
    ranges: list[tuple[str, str]] = []
    while at < len(inner):
        found = _MEMBER.match(inner, at)
        if found is None or (found["c1"] == "-" and 0 < at < len(inner) - 1):  # it is neither a range nor at an end
            raise PatternFault(f"The class {text} is not understood: {_KNOWN}")
        at = found.end()
        low = found["e1"] or found["c1"]
        high = found["e2"] or found["c2"] or low
        if low and low > high:
            raise PatternFault(f"In the class {text}, {low} comes after {high}.")
        ranges += _SETS[found["set"]] if found["set"] else ((low, high),)
    return tuple(ranges), outside


_KNOWN = (
    r"a pattern has characters (with \ before those that mean something), ., \d, \w, [a-z] and [^a-z], "
    "each with *, +, ? or {2,5} behind it, and groups (?P<name>…)."
)
