"""Who makes whom hear what, as a drawing: places and lines as numbers, which the template writes out as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from brokers.core.answers import ReachLine

_ROW, _BOX, _MARGIN = 36, 26, 8
_WIDTHS = (180, 340, 180)
_GAP = 110
_MOST = 24
_LONGEST = (24, 46, 24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A role or a filter. `text` is short enough for the box, `title` is all of it."""

    x: int
    y: int
    width: int
    height: int
    text: str
    title: str
    kind: str

    @property
    def text_x(self) -> int:
        """Where its text begins."""
        return self.x + 10

    @property
    def text_y(self) -> int:
        """The line that its text stands on."""
        return self.y + 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Boxes in three columns, and the curves between them. `more` flows are in the table only."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    curves: tuple[str, ...]
    more: int


def draw(lines: Sequence[ReachLine]) -> Drawing:
    """The first 24 flows: publishers' roles, topic filters, subscribers' roles."""
    shown = lines[:_MOST]
    triples = [(line.flow.publisher.name, line.flow.filter, line.flow.subscriber.name) for line in shown]
    columns = [list(dict.fromkeys(triple[column] for triple in triples)) for column in range(3)]
    height = _MARGIN * 2 + _ROW * max(map(len, columns), default=0)
    places: list[dict[str, Box]] = [_column(number, texts, height) for number, texts in enumerate(columns)]
    curves = [
        _curve(places[column][triple[column]], places[column + 1][triple[column + 1]])
        for triple in triples
        for column in (0, 1)
    ]
    return Drawing(
        width=sum(_WIDTHS) + 2 * _GAP + 2 * _MARGIN,
        height=height,
        boxes=tuple(box for column in places for box in column.values()),
        curves=tuple(dict.fromkeys(curves)),
        more=max(0, len(lines) - _MOST),
    )


def _column(number: int, texts: Iterable[str], height: int) -> dict[str, Box]:
    every_text = list(texts)
    x = _MARGIN + sum(_WIDTHS[:number]) + _GAP * number
    top = (height - _ROW * len(every_text)) // 2 + (_ROW - _BOX) // 2
    return {
        text: Box(
            x=x,
            y=top + _ROW * row,
            width=_WIDTHS[number],
            height=_BOX,
            text=text if len(text) <= _LONGEST[number] else f"{text[: _LONGEST[number] - 1]}…",
            title=text,
            kind="filter" if number == 1 else "role",
        )
        for row, text in enumerate(every_text)
    }


def _curve(left: Box, right: Box) -> str:
    begins, ends = left.x + left.width, right.x
    y, to = left.y + _BOX // 2, right.y + _BOX // 2
    middle = (begins + ends) // 2
    return f"M{begins} {y} C{middle} {y} {middle} {to} {ends} {to}"
