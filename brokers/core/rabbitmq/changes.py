"""From what RabbitMQ holds of ours to what it should hold, as requests to its management API.

Both are documents like the one that RabbitMQ exports, with the fingerprint of a password's hash in its place. What it
holds tells one thing more: which subscriptions there are, since RabbitMQ does not judge deliveries again.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from acl.core.values import Principal
from brokers.core.api_path import path
from brokers.core.password_texts import fingerprint
from brokers.core.ports import RenderSubject, Standing
from brokers.core.rabbitmq.emulator import may_subscribe
from brokers.core.rabbitmq.filters import texts_of
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState, RabbitUser, ResourcePermission, TopicPermission

OURS = "gatehouse"
"""The tag of accounts that Gatehouse made. RabbitMQ gives it no meaning."""
_HASHING = "rabbit_password_hashing_sha256"

ENDINGS = frozenset({"delete-queue", "delete-subscription"})
"""The kinds of calls that end what somebody is subscribed to."""

Key = tuple[str, ...]
Row = Mapping[str, Any]
_NOTHING: Mapping[str, str] = {}
_KEYS = {
    "users": ("name",),
    "permissions": ("vhost", "user"),
    "topic_permissions": ("vhost", "user", "exchange"),
    "subscriptions": ("vhost", "queue", "properties_key"),
}
_IN_NO_PATH = frozenset({".", ".."})
_QUEUE = re.compile(r"mqtt-subscription-(.*)qos([01])", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One request below `/api/`. `body` is its JSON; None where there is none."""

    method: str
    path: str
    kind: str
    target: str
    summary: str
    body: Row | None = None


def marked(state: RabbitState, *, vhost: str) -> RabbitState:
    """The state in that virtual host, with the tag of ours on every account."""
    return replace(state, vhost=vhost, users={name: replace(user, tags=(OURS,)) for name, user in state.users.items()})


def held(
    ours: Collection[Row], permissions: Iterable[Row], topic_permissions: Iterable[Row], subscriptions: Iterable[Row]
) -> str:
    """What RabbitMQ's answers say of our accounts, and all subscriptions over MQTT, as a document."""
    names = {user["name"] for user in ours}
    document = {
        "users": [
            {"name": user["name"], "password_hash": _printed(user["password_hash"]), "tags": user["tags"]}
            for user in ours
        ],
        "permissions": [_some(row, "user", "vhost", "configure", "write", "read") for row in _of(permissions, names)],
        "topic_permissions": [
            _some(row, "user", "vhost", "exchange", "write", "read") for row in _of(topic_permissions, names)
        ],
        "subscriptions": [
            {
                "vhost": row["vhost"],
                "queue": row["destination"],
                "properties_key": row["properties_key"],
                "filter": row["routing_key"],
            }
            for row in subscriptions
            if row["source"] == EXCHANGE and _QUEUE.fullmatch(row["destination"])
        ],
    }
    return json.dumps(document, sort_keys=True)


def accounts_in(document: str, *, vhost: str) -> RabbitState:
    """The accounts that such a document tells of, with what they may do in that virtual host."""
    rows = _rows(document)
    topics: dict[str, dict[str, TopicPermission]] = defaultdict(dict)
    permissions = {}
    for key, row in rows.items():
        if key[:2] == ("permissions", vhost):
            permissions[key[2]] = ResourcePermission(**_some(row, "configure", "write", "read"))
        elif key[:2] == ("topic_permissions", vhost):
            topics[key[2]][key[3]] = TopicPermission(**_some(row, "write", "read"))
    names = [key[1] for key in rows if key[0] == "users"]
    users = {name: RabbitUser(permission=permissions.get(name), topics=topics[name]) for name in names}
    return RabbitState(users=users, vhost=vhost)


def is_ours(user: Row) -> bool:
    """Whether an account has our tag; tags are a list, or a text with commas before RabbitMQ 3.9."""
    tags = user["tags"]
    return OURS in (tags.split(",") if isinstance(tags, str) else tags)


def changes(
    wanted: str,
    present: str,
    *,
    state: RabbitState,
    subjects: Collection[RenderSubject],
    passwords: Mapping[str, str] = _NOTHING,
) -> list[ApiCall]:
    """What to ask RabbitMQ for, accounts that go first. `state` is what `wanted` spells, of these subjects.

    `passwords` are the hashes of those who have one; all others can not log in with any.
    A topic permission for an exchange that policy says nothing of only takes away: it stays.
    """
    new, old = _rows(wanted), _rows(present)
    new |= {
        ("users", name): {**new["users", name], "password_hash": _printed(text)}
        for name, text in passwords.items()
        if ("users", name) in new
    }
    gone = sorted(key[1] for key in old if key[0] == "users" and key not in new)
    stray = sorted(key for key in old if key[0] == "permissions" and key not in new and key[2] not in gone)
    calls = [_delete("user", name, "users", name) for name in gone]
    for _, vhost, name in stray:
        calls.append(_delete("permission", name, "permissions", vhost, name))
        calls.append(_delete("connection", name, "connections", "username", name))
    for section in ("users", "topic_permissions", "permissions"):
        calls += [
            _put(key, row, passwords) for key, row in sorted(new.items()) if key[0] == section and old.get(key) != row
        ]
    return [*calls, *_endings([row for key, row in sorted(old.items()) if key[0] == "subscriptions"], state, subjects)]


def queues_in(permission: Row) -> tuple[str, ...] | None:
    """The queues that a permission is about; None if we did not write it."""
    return texts_of(permission["configure"])


def queues_of(principal: Principal) -> tuple[str, str]:
    """The queues that the MQTT plugin keeps for the principal's client id, one for each QoS."""
    first, second = (f"mqtt-subscription-{principal.client_id}qos{qos}" for qos in (0, 1))
    return first, second


def _endings(rows: Iterable[Row], state: RabbitState, subjects: Collection[RenderSubject]) -> Iterator[ApiCall]:
    """Ends the subscriptions that policy no longer allows, and the queues of those who are barred.

    A subscription to `/` or `//` goes with its queue, since no request can name it.
    """
    by_client = {subject.principal.client_id: subject for subject in subjects}
    ended = set()
    for row in rows:
        found = _QUEUE.fullmatch(row["queue"])
        subject = by_client.get(found[1]) if found else None
        if found is None or subject is None or row["vhost"] != state.vhost:
            continue
        name, admitted = subject.principal.auth_id, subject.state is Standing.ADMITTED
        if admitted and may_subscribe(state, subject.principal, row["filter"], qos=int(found[2])):
            continue
        if admitted and row["properties_key"] not in _IN_NO_PATH:
            where = ("bindings", row["vhost"], "e", EXCHANGE, "q", row["queue"], row["properties_key"])
            yield _delete("subscription", name, *where)
        elif row["queue"] not in ended:
            ended.add(row["queue"])
            yield _delete("queue", name, "queues", row["vhost"], row["queue"])


def _delete(what: str, target: str, *names: str) -> ApiCall:
    summary = {
        "user": f"Delete the account {target}, which no device has any more.",
        "permission": f"Take from {target} what it may do in the virtual host {names[1]!r}.",
        "connection": f"Close the connections of {target}.",
        "queue": f"Delete a queue of {target}, which may not have what it gets there.",
        "subscription": f"End a subscription of {target} that is allowed no more.",
    }[what]
    return ApiCall(method="DELETE", path=path(*names), kind=f"delete-{what}", target=target, summary=summary)


def _put(key: Key, row: Row, passwords: Mapping[str, str]) -> ApiCall:
    if key[0] == "users":
        text = passwords.get(key[1], "")
        body = {
            "password_hash": text,
            "tags": ",".join(row["tags"]),
            **({"hashing_algorithm": _HASHING} if text else {}),
        }
        summary = f"The account {key[1]}, which {'has a password' if text else 'can not log in with a password'}."
        return ApiCall(method="PUT", path=path(*key), kind="set-user", target=key[1], summary=summary, body=body)
    body = {name: row[name] for name in ("exchange", "configure", "write", "read") if name in row}
    where, target = path(key[0].replace("_", "-"), *key[1:3]), key[2]
    if key[0] == "permissions":
        kind, summary = "set-permission", f"Which queues and exchanges {target} may use."
    else:
        kind, summary = "set-topics", f"What {target} may publish and subscribe to over {row['exchange']}."
    return ApiCall(method="PUT", path=where, kind=kind, target=target, summary=summary, body=body)


def _printed(password_hash: str) -> str:
    return fingerprint(password_hash) if password_hash else ""


def _rows(document: str) -> dict[Key, Row]:
    found = json.loads(document or "{}")
    return {
        (section, *(row[name] for name in names)): row
        for section, names in _KEYS.items()
        for row in found.get(section, ())
    }


def _of(rows: Iterable[Row], users: Collection[str]) -> list[Row]:
    return [row for row in rows if row["user"] in users]


def _some(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
