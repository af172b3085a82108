"""YAML read strictly: the few kinds of value that JSON has, each with its line, and nothing that readers differ on.

Anchors, aliases, tags, duplicate keys and bare words such as `no` or `1e3`, which another reader takes for something
else, are refused. What reading costs grows with the size of the text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from kernel.core.errors import FieldError, Invalid

MAX_OCTETS = 5_000_000
MAX_DEPTH = 16
MAX_NODES = 1_000_000
MAX_KEY = 1_024
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_YAML_1_2 = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[yYnN]|(?i:null|true|false)"
)
_Trail = tuple["_Trail", str | int] | None  # where a value stands; a pointer is made of it only for a fault
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadYaml(Invalid):
    """The text is no YAML, or has something in it that is not read."""

    code = "bad-yaml"


class Members(dict[str, Any]):
    """A mapping that knows the line, from 1, of each of its keys."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A sequence that knows the line, from 1, of each of its items."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


def read_tree(text: str | bytes) -> Any:
    """The value of a YAML document: Members, Items, str, int, bool or None. Raises BadYaml with the line."""
    try:
        octets = text.encode() if isinstance(text, str) else text
        if len(octets) > MAX_OCTETS:
            raise BadYaml(f"The document has more than {MAX_OCTETS} octets: split it by domain.")
        text = octets.decode()
    except UnicodeError as error:
        raise BadYaml("The document is not in UTF-8: save it as UTF-8.") from error
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _fault(
            mark.line + 1 if mark else 1, None, f"This is no YAML: {error.problem or error.context}."
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _fault(line, None, "There is a character that YAML does not allow: take it out.") from error


def line_of(tree: Any, pointer: str) -> int:
    """The line, from 1, of what the JSON pointer leads to, or of the nearest around it that is there."""
    line = 1
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(tree, Members) and key in tree:
            line, tree = tree.lines[key], tree[key]
        elif isinstance(tree, Items) and key.isdecimal() and int(key) < len(tree):
            line, tree = tree.lines[int(key)], tree[int(key)]
        else:
            break
    return line


def below(pointer: str, key: str | int) -> str:
    """The pointer to the member or item `key` of what `pointer` leads to (RFC 6901)."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def needs_quotes(text: str) -> bool:
    """Whether some reader of YAML takes `text`, standing without quotes, for something else than text."""
    if text in _WORDS or _YAML_1_2.fullmatch(text):
        return True
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], [])
    return any(pattern.match(text) for _, pattern in resolvers)


class _Reader:
    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._nodes = 0

    def document(self) -> Any:
        next(self._events)  # the stream begins
        event = next(self._events)
        if not isinstance(event, yaml.DocumentStartEvent):
            raise _fault(1, None, "The document is empty.")
        value = self._value(next(self._events), None, 1)
        next(self._events)  # the document ends
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _fault(_line(event), None, "There is a second document: keep one in a file.")
        return value

    def _value(self, event: Any, trail: _Trail, depth: int) -> Any:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise _fault(_line(event), trail, f"This is more than {MAX_DEPTH} levels deep or {MAX_NODES} values long.")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _fault(_line(event), trail, "Anchors (&) and aliases (*) are not read: write the value out.")
        if event.tag is not None:
            raise _fault(_line(event), trail, f"The tag {event.tag[:64]} is not read: take it out.")
        if isinstance(event, yaml.MappingStartEvent):
            return self._members(trail, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(trail, depth)
        return _plain(event, trail) if event.implicit[0] else event.value

    def _members(self, trail: _Trail, depth: int) -> Members:
        members = Members()
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _fault(_line(event), trail, "A key has to be a word: write key: value.")
            key = str(event.value)
            if len(key) > MAX_KEY:
                raise _fault(_line(event), trail, f"A key has more than {MAX_KEY} characters: shorten it.")
            place = (trail, key)
            if key in members:
                first = members.lines[key]
                raise _fault(_line(event), place, f"The key {key[:64]!r} stands on line {first} already: keep one.")
            self._value(event, place, depth + 1)
            members.lines[key] = _line(event)
            members[key] = self._value(next(self._events), place, depth + 1)
        return members

    def _items(self, trail: _Trail, depth: int) -> Items:
        items = Items()
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.lines.append(_line(event))
            items.append(self._value(event, (trail, len(items)), depth + 1))
        return items


def _plain(event: Any, trail: _Trail) -> str | int | bool | None:
    text: str = event.value
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if needs_quotes(text):
        detail = f"Readers of YAML differ on what {text[:64]!r} is: put quotes around it if it is text."
        raise _fault(_line(event), trail, detail)
    return text


def _pointer(trail: _Trail) -> str:
    if trail is None:
        return ""
    around, key = trail
    return below(_pointer(around), key)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _fault(line: int, trail: _Trail, detail: str) -> BadYaml:
    said = f"Line {line}: {detail}"
    return BadYaml(said, errors=(FieldError(pointer=_pointer(trail), code=BadYaml.code, detail=said),))
