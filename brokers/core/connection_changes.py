"""Changing how a broker is spoken to without reading it back: what was kept of it, and what is given anew.

A connection's members are shown if they stand in `SHOWN`; all others are secrets, which come in and never go out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.core.errors import FieldError

SHOWN = frozenset(
    {
        "account", "api", "ca_pem", "callout_user", "database", "dialect", "directory", "files", "host", "log", "port",
        "rest", "subject", "system_user", "username", "vhost",
    }
)  # fmt: skip
_PLACE = ("host", "port", "ca_pem")
_FIXED = "dialect"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownConnection:
    """What may be shown: members by name, `api/host` for one within `api`, and the names of the secrets."""

    members: Mapping[str, Any]
    secrets: tuple[str, ...]


def shown_connection(connection: Mapping[str, Any]) -> ShownConnection:
    """The connection without its secrets."""
    leaves = dict(_leaves(connection))
    shown = {name: value for name, value in leaves.items() if SHOWN.issuperset(name.split("/"))}
    return ShownConnection(members=shown, secrets=tuple(name for name in leaves if name not in shown))


def merged_connection(present: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept, with what is given in its place (RFC 7396): a member that is left out stays, null takes it out."""
    merged = dict(present)
    for name, value in given.items():
        before = present.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = merged_connection(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def changed_members(present: Mapping[str, Any], merged: Mapping[str, Any]) -> list[str]:
    """The names of the members that differ, `api/host` for one within `api`."""
    before, after = dict(_leaves(present)), dict(_leaves(merged))
    return sorted(name for name in before | after if before.get(name) != after.get(name))


def change_errors(
    present: Mapping[str, Any], given: Mapping[str, Any], *, pointer: str = "/connection"
) -> list[FieldError]:
    """Why a change, each of whose members may be right, is not made.

    Where a broker is now spoken to, what was kept of secrets does not go: whoever may change the place, and does not
    know them, would have them sent to a place of their own. And who asks keeps to how it asks, as it keeps to its kind.
    """
    merged = merged_connection(present, given)
    errors = []
    if merged.get(_FIXED) != present.get(_FIXED):
        detail = f"It stays {present.get(_FIXED)}: register another broker for one that asks otherwise."
        errors.append(FieldError(pointer=f"{pointer}/{_FIXED}", code="dialect-fixed", detail=detail))
    moved = any(merged.get(name) != present.get(name) for name in _PLACE)
    for name, value in merged.items():
        kept, anew = present.get(name), given.get(name)
        if isinstance(value, Mapping):
            within = [each if isinstance(each, Mapping) else {} for each in (kept, anew)]
            errors += change_errors(*within, pointer=f"{pointer}/{name}")
        elif moved and anew is None and name not in SHOWN:
            detail = "Give it again: what is kept of it was for the place that is changed."
            errors.append(FieldError(pointer=f"{pointer}/{name}", code="secret-required", detail=detail))
    return errors


def _leaves(connection: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in connection.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", value
