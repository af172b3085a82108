"""Erlang terms as `file:consult` reads them from acl.conf: atoms, strings, binaries, integers, lists and tuples.

A term that can not be read is a fault with its line, and reading goes on behind the next full stop.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

_SKIPPED = re.compile(r"(?:\s|%[^\n]*)+")
_STOP = re.compile(r"\.(?=\s|%|\Z)")
_ATOM = re.compile(r"[a-zß-öø-ÿ][\w@]*")
_NUMBER = re.compile(r"([+-]?)(\d[\d_]*)(?:#([0-9A-Za-z_]+))?")
_CHARACTER = re.compile(r"\$([^\\])", re.DOTALL)
_QUOTED = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*){quote}", re.DOTALL) for quote in "\"'"}
_ESCAPE = re.compile(r"\\(x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|\^.|.)", re.DOTALL)
_LETTERS = {"b": "\b", "d": "\x7f", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "s": " ", "t": "\t", "v": "\v"}
_BINARY_END = re.compile(r"\s*(?:/\s*utf8\s*)?>>")
_MOST_DEEP = 50


@dataclass(frozen=True, slots=True)
class Atom:
    """An atom, such as `allow` or `'and'`."""

    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A list; a tuple of Erlang is one of Python, and strings and binaries are both str."""

    items: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A term that ends in a full stop, and the line that it begins on (from 1)."""

    line: int
    term: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is not understood: the line, and a sentence that says what is wrong."""

    line: int
    why: str


class _Unreadable(Exception):
    """The text at `position` is no term."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(why)
        self.position = position
        self.why = why


def read_forms(text: str) -> Iterator[Form | Fault]:
    """Every term of the text in order, and a fault for each that can not be read."""
    reader = _Reader(text)
    while reader.skip() < len(text):
        start = reader.position
        try:
            yield Form(line=reader.line_of(start), term=reader.form())
        except _Unreadable as error:
            yield Fault(line=reader.line_of(error.position), why=error.why)
            reader.position = _behind_stop(text, max(error.position, start))


def _behind_stop(text: str, position: int) -> int:
    found = _STOP.search(text, position)
    return found.end() if found else len(text)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self.position = 0

    def line_of(self, position: int) -> int:
        return bisect_left(self._ends, position) + 1

    def skip(self) -> int:
        """Goes past blanks and comments; where that is."""
        if found := _SKIPPED.match(self._text, self.position):
            self.position = found.end()
        return self.position

    def form(self) -> object:
        term = self._term(0)
        self.skip()
        if not self._taken(_STOP):
            raise _Unreadable(self.position, "A rule ends in a full stop: put one behind it.")
        return term

    def _term(self, depth: int) -> object:
        start = self.skip()
        first = self._text[start : start + 1]
        if depth > _MOST_DEEP:
            raise _Unreadable(start, f"Terms are nested more than {_MOST_DEEP} deep.")
        if first in {"{", "["}:
            self.position += 1
            items = tuple(self._items("}" if first == "{" else "]", depth))
            return items if first == "{" else Listed(items)
        if first == '"':
            return self._strings()
        return self._binary() if self._text.startswith("<<", start) else self._word(start)

    def _word(self, start: int) -> Atom | int:
        """An atom or an integer."""
        if self._text.startswith("'", start):
            return Atom(self._quoted("'"))
        if found := self._taken(_ATOM):
            return Atom(found[0])
        if found := self._taken(_NUMBER):
            return _integer(found, start)
        if found := self._taken(_CHARACTER):
            return ord(found[1])
        raise _Unreadable(start, f"A term was expected here, not {self._text[start : start + 12]!r}.")

    def _items(self, end: str, depth: int) -> list[object]:
        items: list[object] = []
        while self._next() != end:
            if items and not self._at(","):
                raise _Unreadable(self.position, f"A comma or {end} was expected here.")
            items.append(self._term(depth + 1))
        self.position += 1
        return items

    def _next(self) -> str:
        start = self.skip()
        if start == len(self._text):
            raise _Unreadable(start, "The file ends within a term.")
        return self._text[start]

    def _at(self, text: str) -> bool:
        found = self._text.startswith(text, self.skip())
        self.position += len(text) if found else 0
        return found

    def _strings(self) -> str:
        """Strings beside each other are one."""
        found = self._quoted('"')
        while self._text.startswith('"', self.skip()):
            found += self._quoted('"')
        return found

    def _binary(self) -> str:
        self.position += 2
        found = "" if self._text.startswith(">>", self.skip()) else self._quoted('"')
        if not self._taken(_BINARY_END):
            raise _Unreadable(self.position, 'A binary is written <<"text">> or <<"text"/utf8>>.')
        return found

    def _quoted(self, quote: str) -> str:
        start = self.position
        found = self._taken(_QUOTED[quote])
        if not found:
            raise _Unreadable(start, "A text in quotes was expected here, and its closing quote.")
        try:
            return _ESCAPE.sub(_unescaped, found[1])
        except (ValueError, OverflowError) as error:
            raise _Unreadable(start, "There is no such character as one that is escaped here.") from error

    def _taken(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self.position)
        if found:
            self.position = found.end()
        return found


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:].strip("{}"), 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    if code[0] == "^" and len(code) > 1:
        return chr(ord(code[1]) & 31)
    return _LETTERS.get(code, code)


def _integer(found: re.Match[str], position: int) -> int:
    sign, digits, based = found.groups()
    try:
        number = int(based, int(digits)) if based else int(digits)
    except ValueError as error:
        raise _Unreadable(position, f"{found[0]} is no integer.") from error
    return -number if sign == "-" else number


def quoted(text: str) -> str:
    """The text as an Erlang string; what can not be seen is escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\x{{{ord(character):X}}}"
