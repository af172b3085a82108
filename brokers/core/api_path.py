"""Paths of management APIs."""

from __future__ import annotations

from urllib.parse import quote

from kernel.core.errors import Invalid

_STEPS = frozenset({"", ".", ".."})


class NoPath(Invalid):
    """A name that no path can hold."""

    code = "no-path"


def has_path(name: str) -> bool:
    """Whether a path can hold the name."""
    return name not in _STEPS


def path(*names: str) -> str:
    """The path of these names, each of them escaped. Raises NoPath.

    A server takes `.` and `..` for steps to what stands above, escaped or not: whoever deletes `users/..` deletes more.
    """
    if not all(map(has_path, names)):
        raise NoPath("A name that is empty, . or .. can not be asked about over HTTP: rename what has it.")
    return "/".join(quote(name, safe="") for name in names)
