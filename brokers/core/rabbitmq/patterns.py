"""Topic filters as the regular expressions that RabbitMQ holds against topics: PCRE on octets.

To them `/` is `.` and `+` is `*`. A publish is judged by its topic, a subscribe by the text of its filter; RabbitMQ
checks neither for being well-formed, so the expressions do. They look at no octet twice: every level is either a text
or a class without the dot that ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from acl.core.topics import levels_of
from brokers.core.rendering import canonical

NEVER = "(?!)"  # the usual `^$` lets an empty topic pass, and a lone line feed
USERNAME = "\0"  # no topic has it; stands in a filter for the account's own name, and becomes {username}

# No empty topic; none that begins with $, which a subscription to # would receive; no * and no #, which would be told
# to subscribers as they are (* as +).
_PUBLISHED = r"^(?!\z|\$|[^*#]*[*#])"
# No empty filter; # only at the end, since RabbitMQ takes it for any number of levels elsewhere too.
_SUBSCRIBED = r"^(?!\z|[^#]*#(?!\z))"
GUARDS = (_PUBLISHED, _SUBSCRIBED)
"""What our expressions begin with."""
_REST = r"(?:\.|\z)"
_NOT_HIDDEN = r"(?!\$)"


def publish_pattern(allows: Iterable[str], denies: Iterable[str]) -> str:
    """What matches every topic that an allow matches and no deny does; no topic that begins with `$` at all."""
    return _joined(_PUBLISHED, map(_names, allows), map(_names, denies))


def subscribe_pattern(allows: Iterable[str], denies: Iterable[str]) -> str:
    """What matches every filter that one allow covers and no deny meets."""
    return _joined(_SUBSCRIBED, map(_covered, allows), map(_met, denies))


def literally(*texts: str) -> str:
    """What matches these texts and no other."""
    return f"^{_either(map(escaped, texts))}\\z"


def as_read(filter: str) -> str:
    """The filter as RabbitMQ understands it: `.` separates levels, and a level `*` is any."""
    return canonical("/".join("+" if level == "*" else level for level in filter.replace(".", "/").split("/")))


def escaped(text: str) -> str:
    """What matches just `text`, before and after RabbitMQ has put its variables in."""
    return text.translate(_ESCAPES)


def _escape(character: str) -> str:
    return f"\\{character}" if character.isprintable() else f"\\x{ord(character):02x}"


_ESCAPES = {ord(each): _escape(each) for each in map(chr, range(128)) if not each.isalnum() and each not in "_-"}
_ESCAPES[ord(USERNAME)] = "{username}"


def _joined(guard: str, allows: Iterable[str], denies: Iterable[str]) -> str:
    refused = sorted(set(denies))
    unless = f"(?!{'|'.join(refused)})" if refused else ""
    granted = sorted(set(allows))
    return f"{guard}{unless}(?:{'|'.join(granted)})" if granted else NEVER


def _names(filter: str) -> str:
    """What matches the topic names under the filter; the guard keeps first levels with `$` away."""
    levels = levels_of(filter)
    text = r"\.".join("[^.]*" if level == "+" else escaped(level) for level in levels if level != "#")
    return text + (_REST if levels[-1] == "#" else r"\z")


def _covered(filter: str) -> str:
    """What matches the filters that are covered by `filter`."""
    levels = levels_of(filter)
    if levels == ["+", "#"]:
        return _NOT_HIDDEN
    if levels == ["", "+", "#"]:
        return r"\."
    text = r"\.".join("[^.#]*" if level == "+" else escaped(level) for level in levels if level != "#")
    hidden = _NOT_HIDDEN if levels[0] == "+" else ""
    also = r"|\.#\z" if levels == ["+", "+", "#"] else ""  # /# has two levels, for no name is empty
    return hidden + text + (_REST if levels[-1] == "#" else r"\z") + also


def _met(filter: str) -> str:
    """What matches the filters that some name under `filter` falls under, too."""
    levels = levels_of(filter)
    if levels == ["+"]:
        return rf"{_NOT_HIDDEN}(?:#\z|[^.]+(?:\.#)?\z)"
    if levels[0].startswith("$"):  # no wildcard meets it
        return escaped(levels[0]) + _met_behind(levels, 0)
    return (_NOT_HIDDEN if levels[0] == "+" else "") + _met_from(levels, 0)


def _met_from(levels: Sequence[str], position: int) -> str:
    level = "[^.]*" if levels[position] == "+" else _either((escaped(levels[position]), r"\*"))
    return rf"(?:#\z|{level}{_met_behind(levels, position)})"


def _met_behind(levels: Sequence[str], position: int) -> str:
    """What may stand behind the level at `position`."""
    following = levels[position + 1 :]
    if not following:
        return r"(?:\.#)?\z"
    return _REST if following[0] == "#" else r"\." + _met_from(levels, position + 1)


def _either(patterns: Iterable[str]) -> str:
    *first, last = patterns
    return f"(?:{'|'.join((*first, last))})" if first else last
