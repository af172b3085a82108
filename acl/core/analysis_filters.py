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

from acl.core.analysis_work import Work
from acl.core.templates import parse
from acl.core.topics import covers, levels_of

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
    """Whether the templates cover `narrow` together for every device.

    A name whose wildcard levels nobody spells falls under one of them or none; so of each length one has to cover all.
    """
    *before, last = levels_of(_hide(narrow))
    if last != "#":
        return any(template_covers(text, narrow) for text in wide)
    lengths: set[int] = set()
    endless: list[int] = []
    for text in map(_hide, wide):
        levels = levels_of(text)
        tail = levels[-1:] if levels[-1] == "#" else []
        length = max(len(levels) - len(tail), len(before))
        if covers(text, "/".join([*before, *["+"] * (length - len(before)), *tail])):
            (endless.append if tail else lengths.add)(length)
    return bool(endless) and lengths.issuperset(range(len(before), min(endless)))


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


def without(template: str, taken: Iterable[str], work: Work | None = None) -> tuple[str, ...] | None:
    """The fewest templates to name after `template without`, in order; None if nothing of it is left.

    None of them is named where `work` has run out: more is said to be left than there is.
    """
    every = tuple(taken)
    if work and not work.spend(len(every) * (1 + template.count("/") // 8)):
        return ()
    parts = {found.filter for text in every if (found := common_part(template, text)) and not found.where}
    if templates_cover(parts, template):
        return None
    wild = sum("+" in text or "#" in text for text in parts)
    if work and not work.spend(wild * len(parts) * (1 + template.count("/") // 8)):
        return ()
    return fewest(parts)


def fewest(templates: Iterable[str]) -> tuple[str, ...]:
    """Those of the templates that no other covers, in order."""
    every = sorted(set(templates))
    wild = frozenset(_widest(text for text in every if "+" in text or "#" in text))
    return tuple(text for text in every if text in wild or not any(template_covers(other, text) for other in wild))


def _widest(templates: Iterable[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for text in templates:
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
