"""What RabbitMQ holds of ours, as a document like the one that it exports.

In the place of a password's hash stands its fingerprint. It tells one thing more: which subscriptions there are, since
RabbitMQ does not judge deliveries again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from brokers.core.password_texts import fingerprint
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState, RabbitUser, ResourcePermission, TopicPermission
from brokers.core.rabbitmq.subscriptions import QUEUE

OURS = "gatehouse"
"""The tag of accounts that Gatehouse made. RabbitMQ gives it no meaning."""

Key = tuple[str, ...]
Row = Mapping[str, Any]
_KEYS = {
    "users": ("name",),
    "permissions": ("vhost", "user"),
    "topic_permissions": ("vhost", "user", "exchange"),
    "subscriptions": ("vhost", "queue", "properties_key"),
}


def marked(state: RabbitState, *, vhost: str) -> RabbitState:
    """The state in that virtual host, with the tag of ours on every account."""
    return replace(state, vhost=vhost, users={name: replace(user, tags=(OURS,)) for name, user in state.users.items()})


def is_ours(user: Row) -> bool:
    """Whether an account has our tag; tags are a list, or a text with commas before RabbitMQ 3.9."""
    tags = user["tags"]
    return OURS in (tags.split(",") if isinstance(tags, str) else tags)


def held(
    ours: Collection[Row], permissions: Iterable[Row], topic_permissions: Iterable[Row], subscriptions: Iterable[Row]
) -> str:
    """What RabbitMQ's answers say of our accounts, and all subscriptions over MQTT, as a document."""
    names = {user["name"] for user in ours}
    document = {
        "users": [
            {"name": user["name"], "password_hash": printed(user["password_hash"]), "tags": user["tags"]}
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
            if row["source"] == EXCHANGE and QUEUE.fullmatch(row["destination"])
        ],
    }
    return json.dumps(document, sort_keys=True)


def rows_in(document: str) -> dict[Key, Row]:
    """The rows of a document, by section and what names them in it; a permission by virtual host and account."""
    found = json.loads(document or "{}")
    return {
        (section, *(row[name] for name in names)): row
        for section, names in _KEYS.items()
        for row in found.get(section, ())
    }


def accounts_in(document: str, *, vhost: str) -> RabbitState:
    """The accounts that such a document tells of, with what they may do in that virtual host."""
    rows = rows_in(document)
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


def printed(password_hash: str) -> str:
    """The fingerprint of a password's hash; empty if there is no password."""
    return fingerprint(password_hash) if password_hash else ""


def _of(rows: Iterable[Row], users: Collection[str]) -> list[Row]:
    return [row for row in rows if row["user"] in users]


def _some(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
