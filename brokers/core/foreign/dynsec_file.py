"""The file of Mosquitto's dynamic security plugin as values: all that it says of permissions, each with its place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokers.core.mosquitto.dynsec_state import AclType
from kernel.core.errors import FieldError, Invalid

_DEFAULTS = ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")
_NO_PRIORITY = -1


class InvalidDynsec(Invalid):
    """The text is no file of the plugin."""

    code = "invalid-dynsec"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAcl:
    """One ACL. `place` is a JSON pointer into the file."""

    place: str
    kind: AclType
    topic: str
    allow: bool
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileClient:
    """A client. `roles` are those that are asked first, then those asked next, ...; order within one place is open.

    A client's own come first, then those of its groups.
    """

    place: str
    username: str
    client_id: str
    disabled: bool
    roles: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DynsecFile:
    """`defaults` are by the plugin's names; ACLs of a role are in the order in which they are asked."""

    defaults: Mapping[str, bool]
    roles: Mapping[str, tuple[FileAcl, ...]]
    clients: tuple[FileClient, ...]
    anonymous: bool


def read_file(text: str) -> DynsecFile:
    """What the file says. Raises InvalidDynsec with the place of what is wrong."""
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidDynsec("This is no JSON: export the plugin's file anew.") from error
    document = _mapping(found, "")
    if not {"roles", "clients", "groups", "defaultACLAccess"} & document.keys():
        raise _wrong("", "has none of roles, clients, groups and defaultACLAccess")
    roles = dict(_roles(document))
    groups = dict(_groups(document))
    return DynsecFile(
        defaults=_defaults(document.get("defaultACLAccess", {})),
        roles=roles,
        clients=tuple(_clients(document, roles, groups)),
        anonymous="anonymousGroup" in document,
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _roles(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[FileAcl, ...]]]:
    for place, role in _named(document, "roles", "rolename"):
        acls = [_acl(acl, at) for at, acl in _items(role, "acls", place)]
        yield role["rolename"], tuple(sorted(acls, key=_asked))


def _asked(acl: FileAcl) -> tuple[bool, int]:
    """Literal ones are looked up first, whatever their priority."""
    return acl.kind not in {AclType.SUBSCRIBE_LITERAL, AclType.UNSUBSCRIBE_LITERAL}, -acl.priority


def _acl(acl: Mapping[str, Any], place: str) -> FileAcl:
    try:
        kind = AclType(acl["acltype"])
    except (KeyError, ValueError, TypeError) as error:
        raise _wrong(f"{place}/acltype", f"is none of {', '.join(AclType)}") from error
    return FileAcl(
        place=place,
        kind=kind,
        topic=_text(acl, "topic", place),
        allow=_truth(acl.get("allow", False), f"{place}/allow"),
        priority=_number(acl.get("priority", 0), f"{place}/priority"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    roles: Mapping[str, int]
    members: Mapping[str, int]


def _groups(document: Mapping[str, Any]) -> Iterator[tuple[str, _Group]]:
    for place, group in _named(document, "groups", "groupname"):
        roles, members = (_priorities(group, *of, place) for of in (("roles", "rolename"), ("clients", "username")))
        yield group["groupname"], _Group(roles=roles, members=members)


def _clients(document: Mapping[str, Any], roles: Collection[str], groups: Mapping[str, _Group]) -> Iterator[FileClient]:
    for place, client in _named(document, "clients", "username"):
        username = client["username"]
        joined = {name: group.members[username] for name, group in groups.items() if username in group.members}
        joined.update(_priorities(client, "groups", "groupname", place))
        own = _priorities(client, "roles", "rolename", place)
        yield FileClient(
            place=place,
            username=username,
            client_id=client["clientid"] if isinstance(client.get("clientid"), str) else "",
            disabled=_truth(client.get("disabled", False), f"{place}/disabled"),
            roles=_in_places(own, [(joined[name], groups[name]) for name in joined if name in groups], roles),
        )


def _in_places(
    own: Mapping[str, int], joined: Sequence[tuple[int, _Group]], known: Collection[str]
) -> tuple[frozenset[str], ...]:
    places: dict[tuple[int, int, int], set[str]] = {}
    for name, priority in own.items():
        places.setdefault((0, -priority, 0), set()).add(name)
    alike = Counter(priority for priority, _ in joined)
    for rank, group in joined:
        for name, priority in group.roles.items():
            within = 0 if alike[rank] > 1 else -priority  # of two groups alike, either may come first
            places.setdefault((1, -rank, within), set()).add(name)
    found = (frozenset(places[key] & set(known)) for key in sorted(places))
    return tuple(names for names in found if names)


def _priorities(owner: Mapping[str, Any], member: str, key: str, place: str) -> Mapping[str, int]:
    """The names that are referred to, with their priorities."""
    return {
        _text(entry, key, at): _number(entry.get("priority", _NO_PRIORITY), f"{at}/priority")
        for at, entry in _items(owner, member, place)
    }


def _defaults(found: Any) -> Mapping[str, bool]:
    """What is not said counts as denied, but for unsubscribing."""
    if isinstance(found, list):  # as getDefaultACLAccess answers
        found = {each.get("acltype"): each.get("allow") for each in found if isinstance(each, dict)}
    given = _mapping(found, "/defaultACLAccess")
    usual = {name: name == "unsubscribe" for name in _DEFAULTS}
    return {name: _truth(given.get(name, usual[name]), f"/defaultACLAccess/{name}") for name in _DEFAULTS}


def _named(document: Mapping[str, Any], member: str, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    seen = set()
    for place, entry in _items(document, member, ""):
        name = _text(entry, key, place)
        if name in seen:
            raise _wrong(place, f"is a second {name[:64]!r}")
        seen.add(name)
        yield place, entry


def _items(owner: Mapping[str, Any], member: str, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = owner.get(member, [])
    at = f"{place}/{member}"
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise _wrong(at, "is no list")
    for number, entry in enumerate(found):
        yield f"{at}/{number}", _mapping(entry, f"{at}/{number}")


def _mapping(found: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise _wrong(place, "is no object")
    return found


def _text(owner: Mapping[str, Any], member: str, place: str) -> str:
    found = owner.get(member)
    if not isinstance(found, str) or not found or any("\ud800" <= character <= "\udfff" for character in found):
        raise _wrong(f"{place}/{member}", "has to be a text")
    return found


def _truth(found: Any, place: str) -> bool:
    if not isinstance(found, bool):
        raise _wrong(place, "has to be true or false")
    return found


def _number(found: Any, place: str) -> int:
    if not isinstance(found, int) or isinstance(found, bool):
        raise _wrong(place, "has to be a whole number")
    return found


def _wrong(place: str, what: str) -> InvalidDynsec:
    detail = f"{place or 'The file'} {what}: export the plugin's file anew."
    return InvalidDynsec(detail, errors=(FieldError(pointer=place, code=InvalidDynsec.code, detail=detail),))
