"""Filters as brokers see them to whom a first level that begins with `$` is like any other."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from acl.core.topics import intersects


def meet(granted: str, received: str) -> str | None:
    """The filter of what falls under both; None if nothing does.

    `granted` knows no rule for `$`, as subscribe ACLs of Mosquitto's plugin; `received` does, as all matching of names.
    """
    ours, theirs = granted.split("/"), received.split("/")
    levels: list[str] = []
    for position in range(max(len(ours), len(theirs))):
        our = ours[position] if position < len(ours) else ""
        their = theirs[position] if position < len(theirs) else ""
        if "#" in (our, their):
            longer = theirs if our == "#" else ours
            levels += longer[position:]
            break
        if position >= len(ours) or position >= len(theirs) or (our != their and "+" not in (our, their)):
            return _parent(ours, theirs, levels)
        levels.append(their if our == "+" else our)
    if levels[0].startswith("$") and received[0] in "+#":
        return None
    return "/".join(levels)


def _parent(ours: list[str], theirs: list[str], levels: list[str]) -> str | None:
    """`a/#` also stands for `a`, the only name that it can share with a filter that ends there."""
    shorter, longer = sorted((ours, theirs), key=len)
    if len(levels) == len(shorter) and longer[len(shorter) :] == ["#"]:
        return "/".join(levels)
    return None


def first_levels(filters: Iterable[str]) -> frozenset[str]:
    """The first levels, of filters and of shared ones within, that begin with `$`."""
    found = set()
    for filter in filters:
        levels = filter.split("/")
        found |= {levels[0]} | ({levels[2]} if levels[0] == "$share" and len(levels) > 2 else set())
    return frozenset(level for level in found if level.startswith("$")) - {"$share"}


def unhidden(filter: str, hidden: Collection[str]) -> list[str]:
    """The filter, and what it means to who knows no rule for `$`: also those first levels, where it has a wildcard."""
    first, slash, rest = filter.partition("/")
    if first == "#":
        return [filter, *(f"{level}/#" for level in sorted(hidden))]
    if first == "+":
        return [filter, *(f"{level}{slash}{rest}" for level in sorted(hidden))]
    return [filter]


def meets_blindly(one: str, other: str) -> bool:
    """Whether a filter can fall under both, when `$` means nothing."""
    return intersects(f"x/{one}", f"x/{other}")
