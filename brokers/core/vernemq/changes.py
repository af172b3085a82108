"""From the rows that vmq_diversity reads to those that it should: a row at a time.

Ours are the rows that let subscribe to `$gatehouse/nothing`, where nobody may publish: the table has no other place for
a mark. All others belong to somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from acl.core.values import Action
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.ports import Effect
from brokers.core.vernemq.postgresql import Item, NoVernemqRows, Row, Rows, parse

OURS = Item(pattern="$gatehouse/nothing")
ENDING = Item(pattern="$gatehouse/ending")
"""Who has it lost something, and its session is still to be ended: a mark that survives whatever happens to us."""
_UNTOLD = (ENDING.pattern, "$share/")
_KNOWN = {"pattern", "max_qos", "allowed_retain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row as it should be; None if it goes. `ends`: somebody loses something, so the session has to end."""

    before: Row
    row: Row | None
    summary: str
    ends: bool


def changes(wanted: Rows, present: Rows) -> list[RowChange]:
    """What to change, what takes away first; `present` is about the names that `wanted` is about."""
    found = [
        RowChange(before=present[key], row=None, summary=f"Delete the row of {present[key].username}.", ends=True)
        for key in sorted(present.keys() - wanted.keys())
    ]
    for key in sorted(wanted):
        row, before = wanted[key], present.get(key)
        if row != before:
            ends = before is not None and _loses(row, before)
            summary = f"What {row.username} may do."
            found.append(RowChange(before=before or row, row=row, summary=summary, ends=ends))
    return sorted(found, key=lambda change: not change.ends)


def effect(before: Rows, after: Rows) -> Effect:
    """What changes for the usernames of either."""
    names = {row.username for row in (*before.values(), *after.values())}
    return effects.effect(names, partial(_flow, before), partial(_flow, after))


def marked(row: Row, *, ending: bool = False) -> Row:
    """The row as it is stored."""
    marks = (OURS, ENDING) if ending else (OURS,)
    return replace(row, subscribe=(*row.subscribe, *marks))


def is_ours(subscribe_acl: object) -> bool:
    """Whether a row with this column is ours."""
    entries = subscribe_acl if isinstance(subscribe_acl, list) else []
    return any(isinstance(entry, Mapping) and entry.get("pattern") == OURS.pattern for entry in entries)


def stored_row(columns: Mapping[str, Any]) -> Row:
    """A row of ours, without its mark. What nobody here wrote into it counts as a row that has to be written anew."""
    try:
        if not all(entry.keys() <= _KNOWN for name in ("publish_acl", "subscribe_acl") for entry in columns[name]):
            raise NoVernemqRows("It has members that Gatehouse does not write.")
        [row] = parse(json.dumps({"vmq_auth_acl": [columns]})).values()
    except (NoVernemqRows, TypeError, AttributeError):
        key = {name: columns[name] for name in ("mountpoint", "client_id", "username")}
        return Row(**key, subscribe=(ENDING,))
    return replace(row, subscribe=tuple(item for item in row.subscribe if item.pattern != OURS.pattern))


def _loses(row: Row, before: Row) -> bool:
    pairs = ((before.publish, row.publish), (before.subscribe, row.subscribe))
    return any(not any(_holds(new, item) for new in after) for held, after in pairs for item in held)


def _holds(new: Item, item: Item) -> bool:
    """Whether one entry allows all that another does."""
    wide = new.max_qos >= item.max_qos and new.allowed_retain >= item.allowed_retain
    return new.pattern == item.pattern and wide


def _flow(rows: Rows, name: str, action: Action) -> Flow:
    mine: Iterable[Row] = (row for row in rows.values() if row.username == name)
    items = (item for row in mine for item in (row.publish if action is Action.PUBLISH else row.subscribe))
    return Flow(allows=frozenset(item.pattern for item in items if not item.pattern.startswith(_UNTOLD)))
