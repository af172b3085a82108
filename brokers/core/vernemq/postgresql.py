"""Policy for VerneMQ's vmq_diversity, as rows of its table `vmq_auth_acl` in PostgreSQL.

The artifact is JSON: the rows, sorted, without the password, which stays as it is. A row is for one client id and one
username, which the broker compares itself, so every topic is spelled out; only a principal without a client id has the
row of any (`*`). Who is not admitted has no row and is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from brokers.core.allowances import RETAINED, UNRETAINED, Allowance
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations
from brokers.core.vernemq import policy
from kernel.core.errors import Invalid

ANY_CLIENT = "*"
MOST_CHARACTERS = 128  # of a client id and of a username: the columns are that wide
WHOLE = (
    "Of devices these rows are all that there may be: replace them in one transaction, and delete what is not in them. "
    "A row that stays lets in and allows as before; who is barred has none."
)
_LIMITS = (
    *((limit.kind, limit.why) for limit in policy.LIMITS),
    (DeviationKind.NARROWER, "Who logs in without a username and a password is refused, whatever certificate it has."),
    (DeviationKind.NARROWER, "Client ids of more than 100 octets are refused (max_client_id_size)."),
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    placeholders=frozenset({"client_id", "username"}),
    qos_conditions=True,
    retain_conditions=False,
    version="2.2",
    limits=_LIMITS,
    policy_lag=timedelta(seconds=2),
)


class NoVernemqRows(Invalid):
    """The text does not tell rows of `vmq_auth_acl`."""

    code = "invalid-vernemq-rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One entry of an ACL: up to which QoS, and whether messages may be retained (publish only)."""

    pattern: str
    max_qos: int = 2
    allowed_retain: bool = True

    @property
    def place(self) -> tuple[str, int, bool]:
        """What entries are sorted by."""
        return self.pattern, self.max_qos, self.allowed_retain


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; the primary key is mountpoint, client id and username."""

    client_id: str
    username: str
    publish: tuple[Item, ...] = ()
    subscribe: tuple[Item, ...] = ()
    mountpoint: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Its primary key."""
        return self.mountpoint, self.client_id, self.username


Rows = Mapping[tuple[str, str, str], Row]


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The rows of these subjects, and what they can not express."""
    deviations = Deviations()
    rows = {}
    for subject in subjects:
        if subject.state is Standing.ADMITTED and _has_a_row(subject, deviations):
            row = _row(subject, deviations)
            rows[row.key] = row
    return Rendering(artifact=to_artifact(rows), deviations=deviations.all(), warnings=(WHOLE,))


def to_artifact(rows: Rows) -> str:
    """The rows, a line for each: same rows, same octets."""
    lines = (json.dumps(_document(rows[key]), ensure_ascii=False) for key in sorted(rows))
    return '{"vmq_auth_acl": [\n' + ",\n".join(lines) + "\n]}\n"


def parse(artifact: str) -> Rows:
    """The rows that the text tells. Raises NoVernemqRows."""
    try:
        rows = [_read(row) for row in json.loads(artifact)["vmq_auth_acl"]]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoVernemqRows(f"These are no rows of vmq_auth_acl: read them anew ({error!r:.200}).") from error
    return {row.key: row for row in rows}


def _has_a_row(subject: RenderSubject, deviations: Deviations) -> bool:
    name, client_id = subject.principal.auth_id, subject.principal.client_id
    fault = ""
    if client_id == ANY_CLIENT:
        fault = "A row for the client id * is one for every client id: it gets none."
    elif not all(policy.is_text(text) and len(text) <= MOST_CHARACTERS for text in (name, client_id)):
        fault = "Its name or client id has control characters, or more than 128 characters: it gets no row."
    if fault:
        for bound in subject.policy:
            deviations.note(bound, name, DeviationKind.NARROWER, fault)
    return not fault


def _row(subject: RenderSubject, deviations: Deviations) -> Row:
    compiler = policy.Compiler(subject, deviations, puts_in=True)
    publish, subscribe = set[Item](), set[Item]()
    for each in compiler.publishing():
        publish.update(_publishing(each, compiler))
    for each, spelled, qos in compiler.subscribing():
        ceiling = _ceiling(qos)
        if ceiling < max(qos):
            compiler.narrower(each.bound, _BELOW)
        if ceiling >= 0:
            subscribe.add(Item(pattern=spelled, max_qos=ceiling))
    return Row(
        client_id=subject.principal.client_id or ANY_CLIENT,
        username=subject.principal.auth_id,
        publish=_in_order(publish),
        subscribe=_in_order(subscribe),
    )


_BELOW = "A row says up to which QoS, so it allows a QoS only with those below it: left out."


def _publishing(each: Allowance, compiler: policy.Compiler) -> Iterator[Item]:
    unretained, retained = each.qos(UNRETAINED), each.qos(RETAINED)
    either, plain = _ceiling(unretained & retained), _ceiling(unretained)
    if retained - unretained:
        compiler.narrower(each.bound, "A row can not be about retained messages alone: left out.")
    if plain < max(unretained, default=-1) or either < max(unretained & retained, default=-1):
        compiler.narrower(each.bound, _BELOW)
    if either >= 0:
        yield Item(pattern=each.filter, max_qos=either)
    if plain > either:
        yield Item(pattern=each.filter, max_qos=plain, allowed_retain=False)


@cache
def _ceiling(qos: frozenset[int]) -> int:
    """The highest QoS that is there with all below it; -1 if 0 is not."""
    return next((level - 1 for level in (0, 1, 2) if level not in qos), 2)


def _in_order(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=lambda item: item.place))


def _document(row: Row) -> dict[str, Any]:
    return {
        "mountpoint": row.mountpoint,
        "client_id": row.client_id,
        "username": row.username,
        "publish_acl": [
            {"pattern": item.pattern, "max_qos": item.max_qos, "allowed_retain": item.allowed_retain}
            for item in row.publish
        ],
        "subscribe_acl": [{"pattern": item.pattern, "max_qos": item.max_qos} for item in row.subscribe],
    }


def _read(row: Mapping[str, Any]) -> Row:
    return Row(
        mountpoint=str(row["mountpoint"]),
        client_id=str(row["client_id"]),
        username=str(row["username"]),
        publish=_items(row["publish_acl"]),
        subscribe=_items(row["subscribe_acl"]),
    )


def _items(entries: Sequence[Mapping[str, Any]] | None) -> tuple[Item, ...]:
    """What the broker takes for left out is said: any QoS, retained as well."""
    return _in_order(
        Item(
            pattern=str(entry["pattern"]),
            max_qos=int(entry.get("max_qos", 2)),
            allowed_retain=bool(entry.get("allowed_retain", True)),
        )
        for entry in entries or ()
    )
