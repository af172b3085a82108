"""Simple regular expressions of RabbitMQ as what they are made of: texts, any level, any rest; each way for itself.

Whatever is not understood makes the expression none of the simple ones. Nothing is ever matched with an expression of
somebody else's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

MOST_WAYS = 200
MOST_CHARACTERS = 10_000


class Piece(Enum):
    """What stands for more than a character. `SOME_` is at least one of them."""

    DOT = auto()
    ANY_LEVEL = auto()
    SOME_LEVEL = auto()
    REST = auto()
    SOME_REST = auto()
    USERNAME = auto()
    CLIENT_ID = auto()


Way = tuple[str | Piece, ...]
_TOKEN = re.compile(
    r"""
    (?P<open>\((?:\?:)?(?![?*])) | (?P<close>\)) | (?P<or>\|)
    | (?P<any>\[\^\\?\.\]\*) | (?P<some>\[\^\\?\.\]\+) | (?P<rest>\.\*) | (?P<somerest>\.\+)
    | (?P<user>\{username\}) | (?P<client>\{client_id\})
    | (?P<dot>\\?\.) | \\(?P<escaped>[^A-Za-z0-9\s]) | (?P<plain>[^][\\(){}|.^$*+?])
    """,
    re.VERBOSE,
)
_PIECES = {
    "any": Piece.ANY_LEVEL,
    "some": Piece.SOME_LEVEL,
    "rest": Piece.REST,
    "somerest": Piece.SOME_REST,
    "user": Piece.USERNAME,
    "client": Piece.CLIENT_ID,
    "dot": Piece.DOT,
}
_QUANTIFIERS = ("*", "+", "?", "{0", "{1", "{2", "{3", "{4", "{5", "{6", "{7", "{8", "{9", "{,")


class _NotSimple(Exception):
    """The expression has something in it that is not understood here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple:
    """What the expression matches: one of the ways, from its beginning if `begins`, to its end if `ends`."""

    ways: tuple[Way, ...]
    begins: bool
    ends: bool


def simple(pattern: str) -> tuple[Simple, ...] | None:
    """What the expression matches, each part between `|` for itself; None if it is not simple. `^$` matches nothing."""
    if pattern in {"", "^$", "(?!)", r"^\z"}:  # RabbitMQ takes an empty one for ^$
        return ()
    if len(pattern) > MOST_CHARACTERS:
        return None
    try:
        return tuple(_part(part) for part in _parts(pattern))
    except _NotSimple:
        return None


def _parts(pattern: str) -> list[str]:
    """The parts between `|` outside of parentheses."""
    parts, depth, escaped = [""], 0, False
    for character in pattern:
        if not escaped and character in "()":
            depth += 1 if character == "(" else -1
        if character == "|" and not depth and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def _part(part: str) -> Simple:
    begins = part.startswith("^")
    body = part[1:] if begins else part
    ends = body.endswith(r"\z") or (body.endswith("$") and not body.endswith(r"\$"))
    if ends:
        body = body[:-2] if body.endswith(r"\z") else body[:-1]
    reader = _Reader(body)
    ways = reader.alternatives()
    if reader.position != len(body):
        raise _NotSimple
    return Simple(ways=tuple(ways), begins=begins, ends=ends)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.position = 0

    def alternatives(self, depth: int = 0) -> list[Way]:
        """The ways up to a closing parenthesis or the end."""
        if depth > 10:
            raise _NotSimple
        done: list[Way] = []
        ways: list[Way] = [()]
        while self.position < len(self._text):
            found = _TOKEN.match(self._text, self.position)
            if found is None:
                raise _NotSimple
            kind = str(found.lastgroup)
            if kind == "close":
                break
            self.position = found.end()
            if kind == "or":
                done, ways = [*done, *ways], [()]
                continue
            following = self._group(depth) if kind == "open" else [self._piece(kind, found)]
            ways = [(*way, *more) for way in ways for more in following]
            if len(ways) + len(done) > MOST_WAYS or self._text.startswith(_QUANTIFIERS, self.position):
                raise _NotSimple
        return [*done, *ways]

    def _group(self, depth: int) -> list[Way]:
        found = self.alternatives(depth + 1)
        if not self._text.startswith(")", self.position):
            raise _NotSimple
        self.position += 1
        return found

    def _piece(self, kind: str, found: re.Match[str]) -> Way:
        return (_PIECES[kind],) if kind in _PIECES else (found[kind],)


def admits(parts: tuple[Simple, ...], text: str) -> bool:
    """Whether one of the parts matches the text; `.` and classes are any character here but for what they exclude."""
    return any(re.search(_rebuilt(part, way), text) for part in parts for way in part.ways)


def _rebuilt(part: Simple, way: Way) -> str:
    if sum(isinstance(piece, Piece) and piece is not Piece.DOT for piece in way) > 3:
        return "(?!)"  # what is so entangled counts as not matching, and costs nothing
    inner = "".join(_AGAIN.get(piece, "(?!)") if isinstance(piece, Piece) else re.escape(piece) for piece in way)
    return f"{'^' if part.begins else ''}{inner}{chr(92) + 'Z' if part.ends else ''}"


_AGAIN = {
    Piece.DOT: r"\.",
    Piece.ANY_LEVEL: "[^.]*",
    Piece.SOME_LEVEL: "[^.]+",
    Piece.REST: ".*",
    Piece.SOME_REST: ".+",
}
