"""Paths of management APIs."""

from __future__ import annotations

from urllib.parse import quote


def path(*names: str) -> str:
    """The path of these names, each of them escaped."""
    return "/".join(quote(name, safe="") for name in names)
