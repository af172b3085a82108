"""Where brokers that match an asked filter as if it were a topic name grant more than a rule says.

EMQX and NanoMQ take the levels of a SUBSCRIBE for words: a rule's `+` matches the word `#` too, and a deny stops only
filters that it matches so, not all that it meets. They filter no deliveries. Some of those filters can be named.

Filters are given in their shortest spelling: `#`, not `+/#`.
"""

from __future__ import annotations

from collections.abc import Iterable

from acl.core.topics import covers, intersects

MOST_NAMED = 32

Levels = tuple[str, ...]


class _Endless(Exception):
    """There are filters of that kind for every level there could be."""


def admitted_beyond(filter: str) -> tuple[str, ...] | None:
    """The filters that such a broker admits under an allow of `filter` and that it does not cover.

    `a/+` and `a/+/#` admit `a/#`. None if there is no end of them, as for `+/b/+`, which admits `x/b/#` for every x.
    """
    levels = filter.split("/")
    if levels[-1] == "+":
        parent = levels[:-1]
    elif levels[-2:] == ["+", "#"]:
        parent = levels[:-2]
    else:
        return ()
    wide = "/".join((*parent, "#"))
    if covers(filter, wide):
        return ()
    return None if "+" in parent else (wide,)


def unseen_by(denied: Iterable[str], filter: str) -> frozenset[str] | None:
    """The filters under `filter` that meet one of `denied` and that such a broker does not see the deny in.

    `a/+` meets a deny of `a/b` so, and `a/b` itself does not. None if there are more than 32.
    """
    found: set[str] = set()
    for deny in denied:
        if intersects(filter, deny):
            try:
                unseen = _unseen(tuple(filter.split("/")), tuple(deny.split("/")), exact=True)
            except _Endless:
                return None
            spelled = ("/".join(levels) for levels in unseen)
            found |= {text for text in spelled if text and intersects(text, deny)}
        if len(found) > MOST_NAMED:
            return None
    return frozenset(found)


def _unseen(allowed: Levels, denied: Levels, *, exact: bool) -> set[Levels]:
    """What is left of such filters; `exact` says that the deny matches, as words, what went before."""
    if allowed == ("#",):
        return _unseen_below(denied, exact=exact)
    if not allowed:
        return {()} if denied in ((), ("#",)) and not exact else set()
    if not denied or (denied == ("#",) and exact):
        return set()
    level, rest = allowed[0], allowed[1:]
    following = denied if denied == ("#",) else denied[1:]
    if level != "+":
        met = denied[0] in {"+", "#", level}
        return _behind(level, _unseen(rest, following, exact=exact)) if met else set()
    if denied[0] in {"+", "#"}:
        return _none_of(_unseen(rest, following, exact=exact))
    return _either(denied[0], rest, following, exact=exact)


def _unseen_below(denied: Levels, *, exact: bool) -> set[Levels]:
    """The same where everything is allowed from here on."""
    if denied == ("#",):
        if exact:
            return set()
        raise _Endless
    found: set[Levels] = set() if exact and denied in (("+",), ("+", "#")) else {("#",)}
    if not denied:
        return found if exact else {*found, ()}
    if denied[0] == "+":
        return found | _none_of(_unseen(("#",), denied[1:], exact=exact))
    return found | _either(denied[0], ("#",), denied[1:], exact=exact)


def _either(level: str, allowed: Levels, denied: Levels, *, exact: bool) -> set[Levels]:
    """`+` meets the deny's level as well as that level itself does, and the broker sees it in the latter alone."""
    spelled = _behind(level, _unseen(allowed, denied, exact=exact))
    return spelled | _behind("+", _unseen(allowed, denied, exact=False))


def _behind(level: str, rest: set[Levels]) -> set[Levels]:
    if len(rest) > MOST_NAMED:
        raise _Endless
    return {(level, *levels) for levels in rest}


def _none_of(rest: set[Levels]) -> set[Levels]:
    """Nothing, if there is nothing behind any level; otherwise there is no end, since any level will do."""
    if rest:
        raise _Endless
    return set()
