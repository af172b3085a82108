"""Accounts that a broker has beside those of Gatehouse: which of them nobody knows, as a few names and their number."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from brokers.core.kept_text import kept_name
from brokers.core.values import AdapterKind

MOST_NAMES = 20

# Elsewhere the account by which Gatehouse speaks to it is one of a database or of an API, and no device's.
_OWN_AMONG_THEM = frozenset({AdapterKind.MOSQUITTO_DYNSEC, AdapterKind.RABBITMQ})


def own_accounts(kind: AdapterKind, control_name: str) -> frozenset[str]:
    """The account by which the broker is controlled, if it is one of those that a device could log in with."""
    return frozenset({kept_name(control_name)} if control_name and kind in _OWN_AMONG_THEM else ())


def unknown_accounts(foreign: Iterable[str], known: Collection[str]) -> dict[str, object]:
    """`count` of those that are not known, and `names` of at most 20, sorted; {} if there are none."""
    unknown = {kept_name(name) for name in foreign}.difference(known)
    return {"count": len(unknown), "names": sorted(unknown)[:MOST_NAMES]} if unknown else {}
