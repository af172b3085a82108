"""The commands that turn what the plugin holds into what it should hold, restrictions first.

At no moment between two commands may a client do more than before and after: a role that both loses and gains goes
through what both have in common, and clients change in between, each with one command.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from brokers.core.mosquitto.dynsec import FIXED_ROLES, is_own_role
from brokers.core.mosquitto.dynsec_state import (
    Acl,
    DynsecClient,
    DynsecState,
    acl_documents,
    client_document,
    default_documents,
)

MOST_COMMANDS = 20
MOST_OCTETS = 65_536

NO_ROLE = ("Role not found", "Role does not exist")
"""What the plugin says of a role that there is not; to modifyRole 2.0 says the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of the plugin's API. An error whose text is in `tolerates` means that it was done before."""

    name: str
    target: str
    summary: str
    members: Mapping[str, Any] = field(default_factory=dict)
    tolerates: tuple[str, ...] = ()

    def to_json(self, correlation: str = "") -> str:
        """The command as the plugin reads it; `correlation` comes back with the answer."""
        document = {"command": self.name, **self.members}
        if correlation:
            document["correlationData"] = correlation
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def changes(desired: DynsecState, applied: DynsecState, *, only: frozenset[str] | None = None) -> tuple[Command, ...]:
    """The commands in their order; none if both are the same.

    With `only` (usernames) both states are about these clients alone: no role is deleted, since one that nobody has
    does no harm, and those that `applied` does not show and others may share are made whether they exist or not.
    """
    return tuple(_changes(desired, applied, only))


def _changes(desired: DynsecState, applied: DynsecState, only: frozenset[str] | None) -> Iterator[Command]:
    if only is None and desired.defaults != applied.defaults:
        members = {"acls": default_documents(desired.defaults)}
        yield Command(name="setDefaultACLAccess", target="defaults", summary="Set the defaults.", members=members)
    steps = {
        name: (acls, _restricted(applied.roles[name], acls), applied.roles[name])
        for name, acls in sorted(desired.roles.items())
        if name in applied.roles and applied.roles[name] != acls
    }
    for name in sorted(set(desired.roles) - set(applied.roles)):
        shared = not is_own_role(name) and name not in FIXED_ROLES
        yield from _create_role(name, desired.roles[name], maybe_there=only is not None and shared)
    for name, (wanted, restricted, present) in steps.items():
        if restricted != present:
            yield _modify_role(name, restricted, "Restrict" if restricted != wanted else "Change")
    yield from _clients(desired, applied)
    for name, (wanted, restricted, _) in steps.items():
        if restricted != wanted:
            yield _modify_role(name, wanted, "Extend")
    for name in sorted(set(applied.roles) - set(desired.roles)) if only is None else ():
        yield Command(
            name="deleteRole",
            target=name,
            summary=f"Delete the role {name}.",
            members={"rolename": name},
            tolerates=NO_ROLE,
        )


def batches(commands: Sequence[Command], *, correlation: str) -> Iterator[tuple[tuple[Command, ...], str]]:
    """The commands in messages of bounded size: which, and the text. The n-th command is marked `<correlation>-n`."""
    batch: list[Command] = []
    texts: list[str] = []
    for number, command in enumerate(commands):
        text = command.to_json(f"{correlation}-{number}")
        if batch and (len(batch) == MOST_COMMANDS or sum(map(len, texts)) + len(text) > MOST_OCTETS):
            yield tuple(batch), _message(texts)
            batch, texts = [], []
        batch.append(command)
        texts.append(text)
    if batch:
        yield tuple(batch), _message(texts)


def _message(texts: Sequence[str]) -> str:
    return f'{{"commands":[{",".join(texts)}]}}'


def _restricted(present: frozenset[Acl], wanted: frozenset[Acl]) -> frozenset[Acl]:
    """What is no wider than either: the denies of both, and the allows that both have."""
    denies = {(acl.kind, acl.topic): acl for acl in (*present, *wanted) if not acl.allow}
    allows = (acl for acl in present & wanted if acl.allow and (acl.kind, acl.topic) not in denies)
    return frozenset((*denies.values(), *allows))


def _create_role(name: str, acls: frozenset[Acl], *, maybe_there: bool) -> Iterator[Command]:
    if maybe_there:  # one of the two fails, and what fails is not written
        yield replace(_modify_role(name, acls, "Set"), tolerates=NO_ROLE)
    yield Command(
        name="createRole",
        target=name,
        summary=f"Create the role {name} with {len(acls)} ACLs.",
        members={"rolename": name, "acls": acl_documents(acls)},
        tolerates=("Role already exists",) if maybe_there else (),
    )


def _modify_role(name: str, acls: frozenset[Acl], verb: str) -> Command:
    return Command(
        name="modifyRole",
        target=name,
        summary=f"{verb} the role {name}: {len(acls)} ACLs.",
        members={"rolename": name, "acls": acl_documents(acls)},
    )


def _clients(desired: DynsecState, applied: DynsecState) -> Iterator[Command]:
    """Deletions and bars before all else."""
    for name in sorted(set(applied.clients) - set(desired.clients)):
        yield Command(
            name="deleteClient",
            target=name,
            summary=f"Delete the client {name}.",
            members={"username": name},
            tolerates=("Client not found",),
        )
    changed = (client for name, client in desired.clients.items() if client != applied.clients.get(name))
    for client in sorted(changed, key=lambda client: (not client.disabled, client.username)):
        yield from _client(client, applied.clients.get(client.username))


def _client(wanted: DynsecClient, present: DynsecClient | None) -> Iterator[Command]:
    document = client_document(wanted)
    disabled = document.pop("disabled", False)
    target = wanted.username
    if present is None:
        yield Command(name="createClient", target=target, summary=f"Create the client {target}.", members=document)
    elif {**client_document(present), "disabled": None} != {**document, "disabled": None}:
        document |= {"textname": wanted.mark, "clientid": wanted.client_id, "groups": []}
        yield Command(name="modifyClient", target=target, summary=f"Change the client {target}.", members=document)
    if disabled != (present is not None and present.disabled):
        verb = "disable" if disabled else "enable"
        yield Command(
            name=f"{verb}Client",
            target=target,
            summary=f"{verb.capitalize()} the client {target}.",
            members={"username": target},
        )
