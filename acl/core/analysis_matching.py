"""When a rule's template covers or meets what is asked: a condition on the device, level by level.

It says of all devices at once what `topics.covers` and `topics.intersects` say of one after `templates.substitute`;
those are the place to read the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from acl.core.analysis_conditions import ALWAYS, NEVER, Condition, Parts, Safe, Same, every, negated, some
from acl.core.templates import fault_of, parse
from acl.core.topics import MAX_OCTETS, levels_of

Level = str | Parts
Levels = tuple[Level, ...]
_LONGEST_VALUE = 1_024  # octets of an attribute, a name or a field of a certificate


@dataclass(frozen=True, slots=True)
class Pattern:
    """The levels of a template. `widens` for a deny, which applies more widely where a value is not safe."""

    levels: Levels
    widens: bool = False


def pattern_of(topic: str, *, domain: str, widens: bool) -> Pattern:
    """The pattern of a rule's topic in the domain of that slug."""
    text = topic if fault_of(domain, leads=True) else topic.replace("${domain}", domain)
    return Pattern(levels=_normal(parse(text).levels), widens=widens)


def target_of(text: str) -> Levels:
    """The levels of a topic name or filter that is asked about."""
    return tuple(levels_of(text))


def may_be_too_long(topic: str) -> bool:
    """Whether values could make more of the template than a topic may have, which makes it void."""
    template = parse(topic)
    values = sum(len(level) for level in template.levels if not isinstance(level, str))
    return len(topic.encode()) + values * _LONGEST_VALUE > MAX_OCTETS


def safe(pattern: Pattern) -> Condition:
    """That all placeholders of the pattern have safe values, so that it is neither void nor widened."""
    return every(*(_safe(level, first=n == 0) for n, level in enumerate(pattern.levels) if not isinstance(level, str)))


def covering(pattern: Pattern, target: Levels) -> Condition:
    """When the pattern covers the target."""
    return _in_each_shape(pattern, target, _covering)


def meeting(pattern: Pattern, target: Levels) -> Condition:
    """When some topic name falls under both."""
    return _in_each_shape(pattern, target, _meeting)


def common_levels(pattern: Pattern, target: Levels) -> Levels:
    """What falls under both, for devices to whom `meeting` applies; the pattern does not widen."""
    found: list[Level] = []
    for position, (our, their) in enumerate(zip_longest(pattern.levels, target)):
        if our == "#" or their == "#":
            return (*found, *(target[position:] if our == "#" else pattern.levels[position:]))
        found.append(their if our == "+" or (not isinstance(our, str) and their != "+") else our)
    return tuple(found)


def _in_each_shape(pattern: Pattern, target: Levels, judge: Callable[..., Condition]) -> Condition:
    """A deny whose last level has no safe value ends with #: another number of levels."""
    if not pattern.widens:
        return every(safe(pattern), judge(pattern.levels, target, widens=False))
    *before, last = pattern.levels
    if isinstance(last, str):
        return judge(pattern.levels, target, widens=True)
    whole = _safe(last, first=not before)
    return some(
        every(whole, judge(pattern.levels, target, widens=True)),
        every(negated(whole), judge(_normal((*before, "#")), target, widens=True)),
    )


def _covering(widely: Levels, narrowly: Levels, *, widens: bool) -> Condition:
    found: list[Condition] = []
    for position, level in enumerate(widely):
        if level == "#":
            return every(*found)
        if position == len(narrowly) or narrowly[position] == "#":
            return NEVER
        their, first = narrowly[position], position == 0
        exact = _spells(level, their, first=first)
        widened = widens and position < len(widely) - 1
        found.append(_or_widened(exact, level, their, first=first) if widened else exact)
    return every(*found) if len(widely) == len(narrowly) else NEVER


def _meeting(ours: Levels, theirs: Levels, *, widens: bool) -> Condition:
    found: list[Condition] = []
    for position, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if our == "#" or their == "#":
            return every(*found)
        first = position == 0
        exact = _spells(their, our, first=first) if their == "+" else _spells(our, their, first=first)
        widened = widens and position < len(ours) - 1
        found.append(_or_widened(exact, our, their, first=first) if widened else exact)
    shorter, longer = sorted((ours, theirs), key=len)
    return every(*found) if longer[len(shorter) :] in {(), ("#",)} else NEVER


def _or_widened(exact: Condition, level: Level, their: Level, *, first: bool) -> Condition:
    """The same, or that the level has no safe value, where it becomes +."""
    if isinstance(level, str):
        return exact
    whole = _safe(level, first=first)
    return some(every(whole, exact), every(negated(whole), _spells("+", their, first=first)))


def _spells(ours: Level, theirs: Level, *, first: bool) -> Condition:
    """When the level `ours` stands for every text of `theirs`."""
    if ours == "+":
        return NEVER if first and isinstance(theirs, str) and theirs.startswith("$") else ALWAYS
    if isinstance(ours, str) and isinstance(theirs, str):
        return ALWAYS if ours == theirs else NEVER
    if theirs == "+":
        return NEVER
    if isinstance(ours, str) or isinstance(theirs, str):
        parts, text = (theirs, ours) if isinstance(ours, str) else (ours, theirs)
        return _spells_text(_parts(parts), text if isinstance(text, str) else "", first=first)
    safe_both = (_safe(ours, first=first), _safe(theirs, first=first))
    return every(*safe_both) if ours == theirs else every(Same(ours, theirs), *safe_both)


def _spells_text(parts: Parts, text: str, *, first: bool) -> Condition:
    """When the level with placeholders is that text."""
    leads = first and not isinstance(parts[0], str)
    if isinstance(parts[0], str):
        if not text.startswith(parts[0]):
            return NEVER
        parts, text = parts[1:], text[len(parts[0]) :]
    if isinstance(parts[-1], str):
        if not text.endswith(parts[-1]):
            return NEVER
        parts, text = parts[:-1], text[: len(text) - len(parts[-1])]
    if len(parts) > 1:
        return every(Same(parts, (text,)), *_safe_each(parts, leads=leads))
    return NEVER if fault_of(text, leads=leads) else Same(parts, (text,))


def _safe(level: Level, *, first: bool) -> Condition:
    parts = _parts(level)
    return every(*_safe_each(parts, leads=first and not isinstance(parts[0], str)))


def _safe_each(parts: Parts, *, leads: bool) -> list[Condition]:
    return [Safe(part[0], leads and n == 0) for n, part in enumerate(parts) if not isinstance(part, str)]


def _parts(level: Level) -> Parts:
    return (level,) if isinstance(level, str) else level


def _normal(levels: Sequence[Level]) -> Levels:
    """As `topics.levels_of`: `#` is `+/#`, and `/#` is `/+/#`."""
    found = list(levels)
    if found[-1] == "#" and not any(found[:-1]) and len(found) < 3:
        found.insert(-1, "+")
    return tuple(found)
