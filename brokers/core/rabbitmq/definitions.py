"""RabbitMQ's definitions document (`GET /api/definitions`): the parts about users, and a list of all that is not read.

It knows nothing of policy: what the regular expressions mean is told elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.core.errors import Invalid

_TOLD = frozenset({"rabbit_version", "rabbitmq_version", "product_name", "product_version"})
_SECTIONS = frozenset({"users", "permissions", "topic_permissions"})
_OF_USERS = frozenset({"name", "tags", "password_hash", "hashing_algorithm"})


class InvalidDefinitions(Invalid):
    """The text is no definitions document of RabbitMQ."""

    code = "invalid-rabbitmq-definitions"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEntry:
    """An account. `pointer` is where it stands (RFC 6901)."""

    pointer: str
    name: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionEntry:
    """What an account may do to queues and exchanges of a virtual host, as regular expressions on their names."""

    pointer: str
    user: str
    vhost: str
    configure: str
    write: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicEntry:
    """Which topics of an exchange an account may publish to (`write`) and subscribe to (`read`)."""

    pointer: str
    user: str
    vhost: str
    exchange: str
    write: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A part of the document that is not taken over, and why."""

    pointer: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """What a definitions document says of users, in its own order, and what else it says."""

    users: tuple[UserEntry, ...] = ()
    permissions: tuple[PermissionEntry, ...] = ()
    topic_permissions: tuple[TopicEntry, ...] = ()
    unread: tuple[Unread, ...] = ()


def read_definitions(text: str) -> Definitions:
    """What the document says. Raises InvalidDefinitions if it is none; a part that is not as expected is `unread`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidDefinitions("This is no JSON: export the definitions of RabbitMQ anew.") from error
    if not isinstance(document, dict) or not _SECTIONS & document.keys():
        raise InvalidDefinitions("There are neither users nor permissions in it: export the definitions of RabbitMQ.")
    reader = _Reader(document)
    users = tuple(reader.users())
    return Definitions(
        users=users,
        permissions=tuple(reader.permissions({user.name for user in users})),
        topic_permissions=tuple(reader.topic_permissions({user.name for user in users})),
        unread=tuple(reader.unread),
    )


class _Reader:
    """Goes through a document once, and keeps a list of what it had to leave."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.unread: list[Unread] = []
        for name in sorted(document):
            if name not in _SECTIONS | _TOLD and document[name]:
                self._leave(f"/{_token(name)}", "It says nothing of what users may do to topics.")

    def users(self) -> Iterator[UserEntry]:
        seen: set[str] = set()
        for pointer, entry in self._entries("users", ("name",), seen):
            tags = _tags(entry.get("tags", ()))
            if tags is None:
                self._leave(f"{pointer}/tags", "It is no list of texts.")
            if entry.get("password_hash"):
                self._leave(f"{pointer}/password_hash", "Passwords are not taken over.")
            for name in sorted(entry.keys() - _OF_USERS):
                if entry[name]:
                    self._leave(f"{pointer}/{_token(name)}", "It is unknown.")
            yield UserEntry(pointer=pointer, name=entry["name"], tags=tags or ())

    def permissions(self, users: set[str]) -> Iterator[PermissionEntry]:
        members = ("user", "vhost", "configure", "write", "read")
        for pointer, entry in self._owned("permissions", members, 2, users):
            yield PermissionEntry(pointer=pointer, **{name: entry[name] for name in members})

    def topic_permissions(self, users: set[str]) -> Iterator[TopicEntry]:
        members = ("user", "vhost", "exchange", "write", "read")
        for pointer, entry in self._owned("topic_permissions", members, 3, users):
            yield TopicEntry(pointer=pointer, **{name: entry[name] for name in members})

    def _owned(
        self, section: str, members: tuple[str, ...], keys: int, users: set[str]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The entries of a section, if they are of an account in the document and have no members but these."""
        seen: set[tuple[str, ...]] = set()
        for pointer, entry in self._entries(section, members, seen, keys=keys):
            if entry["user"] not in users:
                self._leave(pointer, "There is no such user in the document.")
                continue
            for name in sorted(entry.keys() - set(members)):
                self._leave(f"{pointer}/{_token(name)}", "It is unknown.")
            yield pointer, entry

    def _entries(
        self, section: str, members: tuple[str, ...], seen: set[Any], *, keys: int = 1
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The entries of a section that have these members, all texts; each of the first `keys` members once."""
        found = self._document.get(section, [])
        if not isinstance(found, list):
            self._leave(f"/{section}", "It is no list.")
            return
        for number, entry in enumerate(found):
            pointer = f"/{section}/{number}"
            if not isinstance(entry, dict) or any(not isinstance(entry.get(name), str) for name in members):
                self._leave(pointer, f"It has to have {', '.join(members)}, all of them texts.")
                continue
            key = tuple(entry[name] for name in members[:keys])
            if key in seen:
                self._leave(pointer, "It stands there twice: the first one is taken.")
                continue
            seen.add(key)
            yield pointer, entry

    def _leave(self, pointer: str, why: str) -> None:
        self.unread.append(Unread(pointer=pointer, why=why))


def _tags(found: object) -> tuple[str, ...] | None:
    """The tags of a user: a list, or a text with commas as before RabbitMQ 3.9; None if they are neither."""
    if isinstance(found, str):
        return tuple(tag.strip() for tag in found.split(",") if tag.strip())
    if isinstance(found, list | tuple) and all(isinstance(tag, str) for tag in found):
        return tuple(found)
    return None


def _token(name: str) -> str:
    """A member's name within a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
