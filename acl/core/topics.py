"""Topic names and topic filters (MQTT 5 4.7): what is well-formed, and which filter matches, covers or meets what.

Levels are separated by `/` and may be empty; `+` is one level, `#` the parent and all below; neither stands for a
first level that begins with `$`. Comparison is by code point, which is the same as by UTF-8 octet.
"""

from __future__ import annotations

from kernel.core.errors import Invalid

MAX_OCTETS = 65_535
WILDCARDS = frozenset({"+", "#"})


class InvalidTopic(Invalid):
    """The text is neither a topic name nor a topic filter, or not the one that is asked for."""

    code = "invalid-topic"


def valid_name(text: str) -> str:
    """`text`, if it is a topic name. Raises InvalidTopic."""
    _check_string(text, what="topic name")
    if "+" in text or "#" in text:
        raise InvalidTopic("A topic name has no wildcard: leave + and # to topic filters.")
    return text


def valid_filter(text: str) -> str:
    """`text`, if it is a topic filter. Raises InvalidTopic."""
    _check_string(text, what="topic filter")
    if "+" not in text and "#" not in text:
        return text
    levels = text.split("/")
    if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels):
        raise InvalidTopic("A wildcard takes a whole level: write a/+/b or a/#, not a+/b or a#.")
    if "#" in levels[:-1]:
        raise InvalidTopic("# stands for everything below, so it has to be the last level: write a/#, not a/#/b.")
    return text


def _check_string(text: str, *, what: str) -> None:
    """MQTT 5 1.5.4 and 4.7.3."""
    if not text:
        raise InvalidTopic(f"A {what} has at least one character.")
    if "\x00" in text:
        raise InvalidTopic(f"A {what} has no NUL character: take it out.")
    try:
        octets = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidTopic(f"A {what} is UTF-8, which has no lone surrogates: take them out.") from error
    if octets > MAX_OCTETS:
        raise InvalidTopic(f"A {what} has at most {MAX_OCTETS} octets; this one has {octets}.")


def levels_of(filter: str) -> list[str]:
    """The levels of a filter or name. `#` is `+/#` and `/#` is `/+/#`: their parent would be the empty name."""
    levels = filter.split("/")
    if levels[-1] == "#" and not any(levels[:-1]) and len(levels) < 3:
        levels.insert(-1, "+")
    return levels


def matches(filter: str, name: str) -> bool:
    """Whether the topic name `name` falls under `filter`."""
    return covers(filter, name)  # a name is the filter of itself alone


def covers(wide: str, narrow: str) -> bool:
    """Whether `wide` matches every topic name that `narrow` matches. Empty text is no filter: nothing covers it."""
    if "+" not in wide and wide != "#":  # most are so, and text says it
        same = narrow == wide or (wide[-1:] == "#" and (narrow == wide[:-2] or narrow.startswith(wide[:-1])))
        return same and narrow != ""
    if not narrow or (narrow[0] == "$" and wide[0] in WILDCARDS):
        return False
    widely, narrowly = levels_of(wide), levels_of(narrow)
    for position, level in enumerate(widely):
        if level == "#":
            return True
        if position == len(narrowly) or narrowly[position] == "#":
            return False
        if level != "+" and level != narrowly[position]:
            return False
    return len(widely) == len(narrowly)


def intersects(left: str, right: str) -> bool:
    """Whether some topic name falls under both filters; none does under empty text."""
    if not (left and right):
        return False
    if "$" in (left[0], right[0]) and (left[0] in WILDCARDS or right[0] in WILDCARDS):
        return False
    ours, theirs = levels_of(left), levels_of(right)
    for our, their in zip(ours, theirs, strict=False):
        if our == "#" or their == "#":
            return True
        if our not in ("+", their) and their != "+":
            return False
    shorter, longer = sorted((ours, theirs), key=len)
    return longer[len(shorter) :] in ([], ["#"])
