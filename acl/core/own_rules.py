"""The rules of one principal alone: a role that only it can have, told from others by its name.

Who a principal is, and that nobody else gets the role, is for the apps above.
"""

from __future__ import annotations

_MARK = "@"  # no other role's name begins with it


def own_role_name(holder: str) -> str:
    """What the role with the rules of the principal called `holder` alone is called."""
    return _MARK + holder


def holder_of(role: str) -> str | None:
    """Whose own rules the role of that name has; None if it is a role for whoever is given it."""
    return role.removeprefix(_MARK) if role.startswith(_MARK) else None


def words_of(role: str) -> str:
    """The role as people are told of it: its name, or whose own rules it has."""
    holder = holder_of(role)
    return role if holder is None else f"own rules of {holder}"
