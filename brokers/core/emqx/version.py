"""Which EMQX is spoken to: 5.8 and 6, by whose source rules are rendered. An older one may let more pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from brokers.core.versions import numbers_of
from kernel.core.errors import Conflict

_FIRST = (5, 8, 0)
_LAST = 6
_WITH_SCOPES = (6, 2, 1)


class OldEmqx(Conflict):
    """Nobody knows what the rules mean to that EMQX."""

    code = "emqx-too-old"


def oldest(nodes: Iterable[Mapping[str, Any]]) -> str:
    """The version of a cluster: the oldest, or what can not be read, among those of its nodes that run."""
    versions = [str(node["version"]) for node in nodes if "version" in node]
    return min(versions, key=numbers_of, default="")


def refuse_old(version: str) -> None:
    """Raises OldEmqx if a node is older than 5.8, or said what is no version."""
    if version and numbers_of(version) < _FIRST:
        raise OldEmqx(
            f"This EMQX is {version[:64]}; what rules mean to one before 5.8 nobody looked up: upgrade it, to 5.8 at "
            "least."
        )


def version_note(version: str) -> str:
    """A sentence for people; empty for 5.8 to 6."""
    if numbers_of(version)[:1] <= (_LAST,):
        return ""
    return f"Gatehouse speaks to EMQX {version[:64]} as to {_LAST}, the newest by whose source it was made."


def has_scopes(version: str) -> bool:
    """Whether its API keys can be kept from what they are not for."""
    return numbers_of(version) >= _WITH_SCOPES
