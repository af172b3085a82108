"""What RabbitMQ holds of ours, as values; written and read as a subset of its definitions document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from brokers.core.rabbitmq.definitions import InvalidDefinitions, read_definitions
from brokers.core.rabbitmq.patterns import NEVER

VHOST = "/"
EXCHANGE = "amq.topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePermission:
    """Which queues and exchanges an account may declare, write to and read from."""

    configure: str = NEVER
    write: str = NEVER
    read: str = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPermission:
    """Which topics of one exchange an account may publish to (`write`) and subscribe to (`read`)."""

    write: str = NEVER
    read: str = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitUser:
    """One account without a password. `topics` is by exchange; one that is not there lets everything pass."""

    tags: tuple[str, ...] = ()
    permission: ResourcePermission | None = None
    topics: Mapping[str, TopicPermission] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitState:
    """Accounts by name, in one virtual host."""

    users: Mapping[str, RabbitUser] = field(default_factory=dict)
    vhost: str = VHOST


def to_artifact(state: RabbitState) -> str:
    """The state as a definitions document, sorted, a line for each entry: same state, same octets."""
    users, permissions, topics = [], [], []
    for name, user in sorted(state.users.items()):
        owner = {"user": name, "vhost": state.vhost}
        users.append({"name": name, "password_hash": "", "tags": user.tags})
        if user.permission:
            permissions.append({**owner, **asdict(user.permission)})
        topics += [{**owner, "exchange": exchange, **asdict(user.topics[exchange])} for exchange in sorted(user.topics)]
    sections = {"users": users, "permissions": permissions, "topic_permissions": topics}
    return "{" + ",\n".join(f'"{name}": {_lines(entries)}' for name, entries in sections.items()) + "}\n"


def parse(artifact: str) -> RabbitState:
    """The state that `to_artifact` wrote. Raises InvalidDefinitions if there is anything else in it."""
    found = read_definitions(artifact)
    if found.unread:
        raise InvalidDefinitions(f"{found.unread[0].pointer}: {found.unread[0].why}")
    vhosts = {entry.vhost for entry in found.permissions} | {entry.vhost for entry in found.topic_permissions}
    if len(vhosts) > 1:
        raise InvalidDefinitions("It is about several virtual hosts: there may be one.")
    permissions = {
        entry.user: ResourcePermission(configure=entry.configure, write=entry.write, read=entry.read)
        for entry in found.permissions
    }
    topics: dict[str, dict[str, TopicPermission]] = {entry.name: {} for entry in found.users}
    for entry in found.topic_permissions:
        topics[entry.user][entry.exchange] = TopicPermission(write=entry.write, read=entry.read)
    users = {
        entry.name: RabbitUser(tags=entry.tags, permission=permissions.get(entry.name), topics=topics[entry.name])
        for entry in found.users
    }
    return RabbitState(users=users, vhost=vhosts.pop() if vhosts else VHOST)


def _lines(documents: Iterable[Mapping[str, Any]]) -> str:
    """A JSON array with a line for each, so that texts compare well."""
    lines = ",\n".join(json.dumps(document, ensure_ascii=False) for document in documents)
    return f"[\n{lines}\n]" if lines else "[]"
