"""What two topic-filter templates have in common, and what is left of one without others.

A placeholder is taken for a level text that nobody else spells; where it may spell the same as another text after all,
that is said as an `Equality`. It must not know who has which value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from acl.core.templates import parse
from acl.core.topics import covers, levels_of
from acl.core.union import cover_together

_SHOWN, _HIDDEN = "${", "\x00{"  # no template has a NUL, so a hidden one neither begins with $ nor equals a text
_PLACEHOLDER = re.compile("\x00\\{[^}]*\\}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Equality:
    """Two levels that are the same text for some devices only, such as `${attr.site}` and `hall-7`."""

    left: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """A template of what falls under two others, for devices to whom every equality of `where` applies."""

    filter: str
    where: tuple[Equality, ...] = ()


def template_covers(wide: str, narrow: str) -> bool:
    """Whether `wide` covers `narrow` for every device, whatever its values are."""
    return covers(_hide(wide), _hide(narrow))


def templates_cover(wide: Iterable[str], narrow: str) -> bool:
    """Whether the templates cover `narrow` together for every device; False where it is too entangled to tell."""
    return cover_together([_hide(text) for text in wide], _hide(narrow))


def common_part(left: str, right: str) -> Common | None:
    """What falls under both templates, or None if nothing does for any device."""
    ours, theirs = levels_of(_hide(left)), levels_of(_hide(right))
    levels: list[str] = []
    where: set[Equality] = set()
    for position, (our, their) in enumerate(zip_longest(ours, theirs)):
        if our == "#" or their == "#":
            levels += theirs[position:] if our == "#" else ours[position:]
            break
        met = None if our is None or their is None else _meet(our, their, first=position == 0)
        if met is None:
            return None
        levels.append(met)
        if "+" not in (our, their) and our != their:
            where.add(Equality(left=_show(str(our)), right=_show(str(their))))
    return Common(filter=_spelled(levels), where=tuple(sorted(where)))


def widened(template: str) -> str:
    """What a deny rule with the template applies to where none of its placeholders has a safe value."""
    parsed = parse(template)
    last = len(parsed.levels) - 1
    return "/".join(
        level if isinstance(level, str) else "#" if position == last else "+"
        for position, level in enumerate(parsed.levels)
    )


def without(template: str, taken: Iterable[str]) -> tuple[str, ...] | None:
    """The fewest templates to name after `template without`, in order; None if nothing of it is left."""
    parts = {found.filter for text in taken if (found := common_part(template, text)) and not found.where}
    if templates_cover(parts, template):
        return None
    return fewest(parts)


def fewest(templates: Iterable[str]) -> tuple[str, ...]:
    """Those of the templates that no other covers, in order."""
    kept: list[str] = []
    for text in sorted(set(templates)):
        if not any(template_covers(other, text) for other in kept):
            kept = [other for other in kept if not template_covers(text, other)] + [text]
    return tuple(kept)


def _meet(our: str, their: str, *, first: bool) -> str | None:
    """The level that both stand for; None if there is none. Of two that may be equal it is the one without values."""
    if our == their:
        return our
    if "+" in (our, their):
        spelled = their if our == "+" else our
        return None if first and spelled.startswith("$") else spelled
    if _HIDDEN in our and _HIDDEN in their:
        return our
    text, pattern = (their, our) if _HIDDEN in our else (our, their)
    if first and text.startswith("$"):
        return None
    return text if _HIDDEN in pattern and _spelling(pattern).fullmatch(text) else None


@lru_cache(maxsize=4096)
def _spelling(level: str) -> re.Pattern[str]:
    """What a level with placeholders may spell: a value has at least one character."""
    return re.compile(".+".join(map(re.escape, _PLACEHOLDER.split(level))), re.DOTALL)


def _spelled(levels: list[str]) -> str:
    """The template of those levels, the shorter spelling where there are two."""
    text = _show("/".join(levels))
    return {"+/#": "#", "/+/#": "/#"}.get(text, text)


def _hide(template: str) -> str:
    return template.replace(_SHOWN, _HIDDEN)


def _show(template: str) -> str:
    return template.replace(_HIDDEN, _SHOWN)
