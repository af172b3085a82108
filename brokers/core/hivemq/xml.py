"""XML files read without risk, each element with its line: no document type, no entities, no other files."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from kernel.core.errors import Invalid

MOST_LEVELS = 16


class InvalidXml(Invalid):
    """The text is no XML that is safe to read."""

    code = "invalid-xml"


@dataclass(slots=True, kw_only=True)
class Element:
    """One element: its name, the line that it begins in, its text without that of its children, its children."""

    name: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)


def read_xml(text: str) -> Element:
    """The root element. Raises InvalidXml, for a document type or an entity of its own before anything is read."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InvalidXml("The file declares a document type or entities, which none of these files needs: take it out.")
    reader = _Reader()
    try:
        octets = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidXml("The file is not Unicode: save it as UTF-8.") from error
    try:
        reader.parser.Parse(octets, True)  # noqa: FBT003 - pyexpat's own
    except expat.ExpatError as error:
        raise InvalidXml(f"The file is not XML: {expat.errors.messages[error.code]} in line {error.lineno}.") from error
    return reader.root


def tag(name: str, text: str, *, depth: int) -> str:
    """A line with one element that holds just text."""
    return f"{'  ' * depth}<{name}>{escape(text, {chr(13): '&#13;', chr(10): '&#10;', chr(9): '&#9;'})}</{name}>"


def within(name: str, lines: list[str], *, depth: int) -> list[str]:
    """The lines inside an element of their own; none if there are none."""
    return [f"{'  ' * depth}<{name}>", *lines, f"{'  ' * depth}</{name}>"] if lines else []


class _Reader:
    """Builds the tree as the parser goes along."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self._open: list[Element] = []
        self.root = Element(name="", line=0)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        element = Element(name=name, line=self.parser.CurrentLineNumber)
        if len(self._open) == MOST_LEVELS:
            raise InvalidXml(f"The file has elements nested deeper than {MOST_LEVELS} in line {element.line}.")
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    @staticmethod
    def _refuse(*_declared: object) -> None:
        raise InvalidXml("The file declares a document type or entities: take it out.")
