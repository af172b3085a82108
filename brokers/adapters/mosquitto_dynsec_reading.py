"""Reading what Mosquitto's dynamic security plugin holds, all of it or of a few clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brokers.adapters.mosquitto_control import Answer, ControlConnection
from brokers.core.mosquitto.dynsec import FIXED_ROLES
from brokers.core.mosquitto.dynsec_changes import NO_ROLE, Command
from brokers.core.mosquitto.dynsec_state import (
    Defaults,
    DynsecState,
    acls_of,
    claimed,
    default_documents,
    own_roles,
    state_of,
)

_PAGE = 1_000
"""Of a list: while the broker makes it, it does nothing else."""


def read_whole(broker: ControlConnection) -> DynsecState:
    """All that is ours, with the names of all other clients. Raises what `ask` raises."""
    [defaults] = broker.ask([asking("getDefaultACLAccess", "defaults", {})])
    return state_of(
        clients=_every(broker, "listClients", "clients"),
        roles=_every(broker, "listRoles", "roles"),
        defaults=defaults["data"]["acls"],
    )


def read_part(broker: ControlConnection, only: frozenset[str]) -> DynsecState:
    """What these clients have, and roles that they may get; defaults are not asked for. Raises what `ask` raises."""
    names = sorted(only)
    asked = [asking("getClient", name, {"username": name}, tolerates=("Client not found",)) for name in names]
    clients = [claimed(answer["data"]["client"]) for answer in broker.ask(asked) if "data" in answer]
    roles = {entry["rolename"] for client in clients for entry in client.get("roles", ())}
    roles |= {role for name in names for role in own_roles(name)}
    roles |= FIXED_ROLES  # one that is there already needs no writing
    return state_of(clients=clients, roles=_roles(broker, sorted(roles)), defaults=default_documents(Defaults()))


def notes_on(broker: ControlConnection) -> tuple[str, ...]:
    """What the plugin lets somebody do whom the policy knows nothing of. Raises what `ask` raises."""
    [answer] = broker.ask([asking("getAnonymousGroup", "anonymous", {})])
    name = answer["data"]["group"]["groupname"]  # empty unless somebody set one
    asked = [asking("getGroup", name, {"groupname": name}, tolerates=("Group not found",))] if name else []
    if not any(found["data"]["group"]["roles"] for found in broker.ask(asked) if "data" in found):
        return ()
    note = (
        f"Whoever connects to this Mosquitto without a name has the roles of its group {name!r}, whatever the policy "
        "is: take them from it (mosquitto_ctrl dynsec removeGroupRole), or set allow_anonymous false."
    )
    return (note,)


def needed(broker: ControlConnection, commands: Sequence[Command]) -> list[Command]:
    """Without those that would make a role what it is. Raises what `ask` raises."""
    unsure = [command for command in commands if command.name == "modifyRole" and command.tolerates]
    present = {role["rolename"]: acls_of(role) for role in _roles(broker, [command.target for command in unsure])}
    return [each for each in commands if each not in unsure or present.get(each.target) != acls_of(each.members)]


def asking(name: str, target: str, members: dict[str, Any], *, tolerates: tuple[str, ...] = ()) -> Command:
    """A command that nobody reads of; the answer may be one of the errors that it `tolerates`."""
    return Command(name=name, target=target, summary="", members=members, tolerates=tolerates)


def _every(broker: ControlConnection, command: str, member: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = {"verbose": True, "count": _PAGE, "offset": len(found)}
        [answer] = broker.ask([asking(command, member, page)])
        rows = answer["data"][member]
        found += rows
        if len(rows) < _PAGE:
            return found


def _roles(broker: ControlConnection, names: Sequence[str]) -> list[Any]:
    asked = [asking("getRole", name, {"rolename": name}, tolerates=NO_ROLE) for name in names]
    answers: list[Answer] = broker.ask(asked)
    return [answer["data"]["role"] for answer in answers if "data" in answer]
