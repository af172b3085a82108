"""What Mosquitto's dynamic security plugin (2.0.x) holds, as values; its JSON read and written.

Only what is ours counts: roles whose name begins with `gh.`, and clients that have a role which is theirs alone, or
whose textname begins so. All others are foreign and stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from json.encoder import encode_basestring as _quoted
from operator import attrgetter
from typing import Any

from kernel.core.errors import Invalid
from kernel.core.garbage import collection_paused

OURS = "gh."
NO_PRIORITY = -1
OWN = f"{OURS}d."
"""What the names of roles begin with that belong to one client alone."""
PURPOSES = ("deny", "allow", "wide-shared", "wide")
"""What they end with."""


class InvalidDynsec(Invalid):
    """The text is not what the dynamic security plugin keeps."""

    code = "invalid-dynsec"


class AclType(StrEnum):
    """The kinds of ACL."""

    __hash__ = str.__hash__  # that of Enum is no C

    SEND = "publishClientSend"
    RECEIVE = "publishClientReceive"
    SUBSCRIBE_LITERAL = "subscribeLiteral"
    SUBSCRIBE = "subscribePattern"
    UNSUBSCRIBE_LITERAL = "unsubscribeLiteral"
    UNSUBSCRIBE = "unsubscribePattern"


_KINDS = {kind.value: kind for kind in AclType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """One ACL of a role; a role has at most one for a kind and topic."""

    kind: AclType
    topic: str
    allow: bool
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DynsecClient:
    """One client of ours. `roles` and `groups` are (name, priority) by name; the highest priority is asked first.

    `mark` begins with `gh.` unless it has a role of its own: whatever stands in a client costs time in each write.
    """

    username: str
    mark: str = ""
    client_id: str = ""
    roles: tuple[tuple[str, int], ...] = ()
    groups: tuple[tuple[str, int], ...] = ()
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where no ACL matches."""

    send: bool = False
    receive: bool = False
    subscribe: bool = False
    unsubscribe: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DynsecState:
    """Defaults, our roles by name, our clients by username. `foreign` names the clients that are not ours."""

    defaults: Defaults = Defaults()
    roles: Mapping[str, frozenset[Acl]] = field(default_factory=dict)
    clients: Mapping[str, DynsecClient] = field(default_factory=dict)
    foreign: frozenset[str] = field(default=frozenset(), compare=False)


_DEFAULT_NAMES = {
    "publishClientSend": "send",
    "publishClientReceive": "receive",
    "subscribe": "subscribe",
    "unsubscribe": "unsubscribe",
}


@collection_paused()
def state_of(
    *,
    clients: Iterable[Mapping[str, Any]],
    roles: Iterable[Mapping[str, Any]],
    defaults: Iterable[Mapping[str, Any]],
) -> DynsecState:
    """The state that the answers to listClients, listRoles (both verbose) and getDefaultACLAccess tell."""
    ours, foreign = list[DynsecClient](), set[str]()
    for client in clients:
        if is_ours(client):
            ours.append(_client_of(client))
        else:
            foreign.add(client["username"])
    return DynsecState(
        defaults=Defaults(**{_DEFAULT_NAMES[entry["acltype"]]: bool(entry["allow"]) for entry in defaults}),
        roles={role["rolename"]: acls_of(role) for role in roles if role["rolename"].startswith(OURS)},
        clients={client.username: client for client in ours},
        foreign=frozenset(foreign),
    )


def acls_of(role: Mapping[str, Any]) -> frozenset[Acl]:
    """The ACLs of a role as the plugin tells it; an absent priority is 0."""
    return frozenset(
        [
            Acl(
                kind=_KINDS[acl["acltype"]],
                topic=acl["topic"],
                allow=bool(acl.get("allow", False)),
                priority=int(acl.get("priority", 0)),
            )
            for acl in role.get("acls", ())
        ]
    )


def to_artifact(state: DynsecState) -> str:
    """The state in the grammar of the plugin's file, sorted: same state, same octets."""
    defaults = {name: getattr(state.defaults, member) for name, member in _DEFAULT_NAMES.items()}
    clients = ",\n".join([_client_text(state.clients[name]) for name in sorted(state.clients)])
    roles = ",\n".join([_role_text(name, state.roles[name]) for name in sorted(state.roles)])
    return f'{{"defaultACLAccess": {json.dumps(defaults)},\n"clients": [\n{clients}\n],\n"roles": [\n{roles}\n]}}\n'


def _client_text(client: DynsecClient) -> str:
    """`client_document` as JSON, without making it: there are very many."""
    text = f'{{"username": {_quoted(client.username)}'
    if client.mark:
        text += f', "textname": {_quoted(client.mark)}'
    if client.client_id:
        text += f', "clientid": {_quoted(client.client_id)}'
    if client.disabled:
        text += ', "disabled": true'
    text += f', "roles": [{_listed("rolename", client.roles)}]'
    if client.groups:
        text += f', "groups": [{_listed("groupname", client.groups)}]'
    return text + "}"


def _listed(name: str, references: Iterable[tuple[str, int]]) -> str:
    return ", ".join(
        [
            f'{{"{name}": {_quoted(told)}}}'
            if priority == NO_PRIORITY
            else f'{{"{name}": {_quoted(told)}, "priority": {priority}}}'
            for told, priority in references
        ]
    )


def _role_text(name: str, acls: Iterable[Acl]) -> str:
    texts = [
        f'{{"acltype": "{acl.kind.value}", "topic": {_quoted(acl.topic)}, '
        f'"priority": {acl.priority}, "allow": {"true" if acl.allow else "false"}}}'
        for acl in _in_order(acls)
    ]
    return f'{{"rolename": {_quoted(name)}, "acls": [{", ".join(texts)}]}}'


def parse(artifact: str) -> DynsecState:
    """The state that `to_artifact` wrote. Raises InvalidDynsec."""
    try:
        document = json.loads(artifact)
        defaults = [{"acltype": name, "allow": allow} for name, allow in document["defaultACLAccess"].items()]
        return state_of(clients=document["clients"], roles=document["roles"], defaults=defaults)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = "This is not the JSON of Mosquitto's dynamic security plugin: look for defaults, clients and roles."
        raise InvalidDynsec(detail) from error


def client_document(client: DynsecClient) -> dict[str, Any]:
    """The client in the plugin's words."""
    document: dict[str, Any] = {"username": client.username}
    if client.mark:
        document["textname"] = client.mark
    if client.client_id:
        document["clientid"] = client.client_id
    if client.disabled:
        document["disabled"] = True
    document["roles"] = [_reference("rolename", *each) for each in client.roles]
    if client.groups:
        document["groups"] = [_reference("groupname", *each) for each in client.groups]
    return document


def _reference(name: str, told: str, priority: int) -> dict[str, Any]:
    return {name: told} if priority == NO_PRIORITY else {name: told, "priority": priority}


def acl_documents(acls: Iterable[Acl]) -> list[dict[str, Any]]:
    """The ACLs in the plugin's words, sorted."""
    return [
        {"acltype": acl.kind.value, "topic": acl.topic, "priority": acl.priority, "allow": acl.allow}
        for acl in _in_order(acls)
    ]


def _in_order(acls: Iterable[Acl]) -> list[Acl]:
    return sorted(acls, key=attrgetter("kind", "topic", "allow", "priority"))


def default_documents(defaults: Defaults) -> list[dict[str, Any]]:
    """The defaults in the plugin's words."""
    return [{"acltype": name, "allow": getattr(defaults, member)} for name, member in _DEFAULT_NAMES.items()]


def own_roles(username: str) -> tuple[str, ...]:
    """The names that roles of this client alone may have."""
    return tuple([f"{OWN}{username}.{purpose}" for purpose in PURPOSES])


def is_ours(client: Mapping[str, Any]) -> bool:
    """Whether Gatehouse made the client that the plugin tells of."""
    if str(client.get("textname", "")).startswith(OURS):
        return True
    own = own_roles(client["username"])
    return any(entry["rolename"] in own for entry in client.get("roles", ()))


def claimed(client: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same of a client that is called like a device: ours if it has any role of ours, though nobody marked it so.

    Somebody may have deleted the role that told, or given roles of ours to an account made by hand.
    """
    has_ours = any(entry["rolename"].startswith(OURS) for entry in client.get("roles", ()))
    return {**client, "textname": OURS} if has_ours and not is_ours(client) else client


def _client_of(client: Mapping[str, Any]) -> DynsecClient:
    return DynsecClient(
        username=client["username"],
        mark=client.get("textname", ""),
        client_id=client.get("clientid", ""),
        roles=_references(client.get("roles", ()), "rolename"),
        groups=_references(client.get("groups", ()), "groupname"),
        disabled=bool(client.get("disabled", False)),
    )


def _references(entries: Iterable[Mapping[str, Any]], name: str) -> tuple[tuple[str, int], ...]:
    return tuple(sorted([(entry[name], int(entry.get("priority", NO_PRIORITY))) for entry in entries]))
