"""The topic filters behind the expressions of rabbitmq_patterns: what one wrote, the other reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial

from acl.core.values import Action
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.ports import Effect
from brokers.core.rabbitmq.patterns import GUARDS, NEVER, USERNAME, literally, publish_pattern, subscribe_pattern
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState
from brokers.core.rendering import canonical

_TEXT = r"(?:\{username\}|\\x[0-9a-f]{2}|\\[^.*xz]|[^\\()|\[\].*{}])"
_TOKEN = re.compile(
    rf"""
      (?P<rest>\(\?:\\\.\|\\z\)) | (?P<end>\(\?:\\\.\#\)\?\\z | \\z)
    | \(\?:(?P<either>{_TEXT}*)\|\\\*\)                             # a level's text, or the wildcard asked for
    | (?P<any>\[\^\.\#?\][*+]) | (?P<separator>\\\.) | (?P<text>{_TEXT}+)
    | \(\?!\\\$\) | \(\?:\#\\z\| | \)                               # what stands around levels
    """,
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})|\\(.)", re.DOTALL)
_BESIDE = r"\.#\z"  # stands beside what `+/+/#` comes to, and never alone
_ALONE = {r"(?!\$)": "#", r"\.": "/#", _BESIDE: "/#"}


class _NotOurs(Exception):
    """An expression that we did not write."""


def effect(before: RabbitState, after: RabbitState) -> Effect:
    """What changes for the accounts of either. An expression that is not ours counts as allowing nothing."""
    return effects.effect({*before.users, *after.users}, partial(_flow, before), partial(_flow, after))


def flow_of(pattern: str, *, username: str) -> Flow | None:
    """What the expression allows and denies to the account; None if it is not one of ours."""
    found = _read(pattern)
    if found is None:
        return None
    allows, denies = (frozenset(each.replace(USERNAME, username) for each in filters) for filters in found)
    return Flow(allows=allows, denies=denies)


@lru_cache(maxsize=1024)  # of a role all have the same
def _read(pattern: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """The filters that it allows and denies, if it is what they come to: one that is nearly so may allow anything."""
    if pattern == NEVER:
        return frozenset(), frozenset()
    guard = next((guard for guard in GUARDS if pattern.startswith(guard)), None)
    if guard is None:
        return None
    denied, allowed = "", pattern.removeprefix(guard)
    try:
        if allowed.startswith("(?!"):
            end = _closing(allowed)
            denied, allowed = allowed[3:end], allowed[end + 1 :]
        if not allowed.startswith("(?:") or _closing(allowed) != len(allowed) - 1:
            return None
        allows = {part: _filter(part) for part in _parts(allowed[3:-1])}
        denies = frozenset(_filter(part) for part in _parts(denied) if part)
        spell = publish_pattern if guard == GUARDS[0] else subscribe_pattern
        if spell([filter for part, filter in allows.items() if part != _BESIDE], denies) != pattern:
            return None
    except _NotOurs:
        return None
    return frozenset(allows.values()), denies


def texts_of(pattern: str) -> tuple[str, ...] | None:
    """The texts that `patterns.literally` was told; None if it did not write the expression."""
    either = pattern.removeprefix("^").removesuffix(r"\z")
    texts = either[3:-1] if either.startswith("(?:") else either
    found = tuple(_unescaped(part) for part in _parts(texts))
    return found if literally(*found) == pattern and "{username}" not in pattern else None


def _flow(state: RabbitState, username: str, action: Action) -> Flow:
    user = state.users.get(username)
    topics = user.topics.get(EXCHANGE) if user is not None and user.permission is not None else None
    if topics is None:
        return Flow()
    return flow_of(topics.write if action is Action.PUBLISH else topics.read, username=username) or Flow()


def _filter(pattern: str) -> str:
    if pattern in _ALONE:
        return _ALONE[pattern]
    text, position = "", 0
    while position < len(pattern):
        found = _TOKEN.match(pattern, position)
        if found is None:
            raise _NotOurs
        if found["rest"]:
            text += "/#"
        elif found["any"]:
            text += "+"
        elif found["separator"]:
            text += "/"
        else:
            text += _unescaped(found["either"] or found["text"] or "")
        position = found.end()
    return canonical(text)


def _unescaped(text: str) -> str:
    told = text.replace("{username}", USERNAME)  # where it stands for braces, each is escaped
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], told)


def _closing(text: str) -> int:
    """Where the parenthesis that the text begins with is closed."""
    for position, depth in _depths(text):
        if depth == 0:
            return position
    raise _NotOurs


def _parts(text: str) -> list[str]:
    """The parts between `|` outside of parentheses."""
    cuts = [position for position, depth in _depths(text) if depth == 0 and text[position] == "|"]
    begins = [0, *(cut + 1 for cut in cuts)]
    return [text[begin:end] for begin, end in zip(begins, [*cuts, len(text)], strict=True)]


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """Each character that is not escaped, with how many parentheses are open behind it."""
    depth, escaped = 0, False
    for position, character in enumerate(text):
        if not escaped:
            depth += {"(": 1, ")": -1}.get(character, 0)
            yield position, depth
        escaped = character == "\\" and not escaped
