"""The topic filters behind the expressions of rabbitmq_patterns: what one wrote, the other reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from acl.core.values import Action
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.ports import Effect
from brokers.core.rabbitmq.patterns import GUARDS, NEVER, literally
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
_ALONE = {r"(?!\$)": "#", r"\.": "/#", r"\.#\z": "/#"}


class _NotOurs(Exception):
    """An expression that we did not write."""


def effect(before: RabbitState, after: RabbitState) -> Effect:
    """What changes for the accounts of either. An expression that is not ours counts as allowing nothing."""
    return effects.effect({*before.users, *after.users}, partial(_flow, before), partial(_flow, after))


def flow_of(pattern: str, *, username: str) -> Flow | None:
    """What the expression allows and denies to the account; None if it is not one of ours."""
    if pattern == NEVER:
        return Flow()
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
        return Flow(
            allows=frozenset(_filter(part, username) for part in _parts(allowed[3:-1])),
            denies=frozenset(_filter(part, username) for part in _parts(denied) if part),
        )
    except _NotOurs:
        return None


def texts_of(pattern: str) -> tuple[str, ...] | None:
    """The texts that `patterns.literally` was told; None if it did not write the expression."""
    either = pattern.removeprefix("^").removesuffix(r"\z")
    texts = either[3:-1] if either.startswith("(?:") else either
    found = tuple(_unescaped(part, "") for part in _parts(texts))
    return found if literally(*found) == pattern else None


def _flow(state: RabbitState, username: str, action: Action) -> Flow:
    user = state.users.get(username)
    topics = user.topics.get(EXCHANGE) if user is not None and user.permission is not None else None
    if topics is None:
        return Flow()
    return flow_of(topics.write if action is Action.PUBLISH else topics.read, username=username) or Flow()


def _filter(pattern: str, username: str) -> str:
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
            text += _unescaped(found["either"] or found["text"] or "", username)
        position = found.end()
    return canonical(text)


def _unescaped(text: str, username: str) -> str:
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    return plain.replace("{username}", username) if "{username}" in text else plain


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
