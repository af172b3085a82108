from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from acl.core.values import Principal, Publish, Receive, Request, Subscribe
from brokers.core.mosquitto.dynsec import desired_state
from brokers.core.mosquitto.dynsec_changes import NO_ROLE, Command, batches, changes
from brokers.core.mosquitto.dynsec_emulator import emulate
from brokers.core.mosquitto.dynsec_state import (
    DynsecState,
    acl_documents,
    acls_of,
    client_document,
    default_documents,
    state_of,
)
from brokers.core.ports import RenderSubject, Standing
from tests.brokers.core.faithfulness import Dice

EVERYTHING: list[Request] = [
    kind(topic=f"{first}/{second}")
    for first, second in product("abc", repeat=2)
    for kind in (Publish, Receive, Subscribe)
]


class Plugin:
    """The plugin's API, as far as the commands need it."""

    def __init__(self, state: DynsecState) -> None:
        self.defaults = default_documents(state.defaults)
        self.roles: dict[str, Any] = {
            name: {"rolename": name, "acls": acl_documents(acls)} for name, acls in state.roles.items()
        }
        self.clients = {name: client_document(client) for name, client in state.clients.items()}

    def state(self) -> DynsecState:
        return state_of(clients=self.clients.values(), roles=self.roles.values(), defaults=self.defaults)

    def obey(self, command: dict[str, Any]) -> None:
        name, members = command.pop("command"), command
        members.pop("correlationData", None)
        getattr(self, f"do_{name}")(members)

    def do_setDefaultACLAccess(self, members: dict[str, Any]) -> None:
        self.defaults = members["acls"]

    def do_createRole(self, members: dict[str, Any]) -> None:
        assert members["rolename"] not in self.roles
        keys = [(acl["acltype"], acl["topic"]) for acl in members["acls"]]
        assert len(keys) == len(set(keys)), "allow and deny on one topic in one role is impossible"
        self.roles[members["rolename"]] = members

    def do_modifyRole(self, members: dict[str, Any]) -> None:
        del self.roles[members["rolename"]]
        self.do_createRole(members)

    def do_deleteRole(self, members: dict[str, Any]) -> None:
        del self.roles[members["rolename"]]

    def do_createClient(self, members: dict[str, Any]) -> None:
        assert members["username"] not in self.clients
        assert all(reference["rolename"] in self.roles for reference in members["roles"])
        self.clients[members["username"]] = members

    def do_modifyClient(self, members: dict[str, Any]) -> None:
        present = self.clients.pop(members["username"])
        self.do_createClient({**present, **members})

    def do_deleteClient(self, members: dict[str, Any]) -> None:
        del self.clients[members["username"]]

    def do_disableClient(self, members: dict[str, Any]) -> None:
        self.clients[members["username"]]["disabled"] = True

    def do_enableClient(self, members: dict[str, Any]) -> None:
        del self.clients[members["username"]]["disabled"]


def fleet(dice: Dice) -> DynsecState:
    """A few principals with two roles at random, some barred."""
    policy = dice.policy()
    subjects = []
    for name in dice.roll.sample(["d1", "d2", "d3"], dice.roll.randint(1, 3)):
        principal = Principal(id=name, auth_id=name, client_id=name, username=name, domain="d")
        roles = dice.roll.choice([("pump",), ("pump", "valve"), ("valve",)])
        bound = tuple(rule for rule in policy if rule.role_name in roles)
        state = dice.roll.choice([Standing.ADMITTED, Standing.ADMITTED, Standing.BARRED])
        subjects.append(RenderSubject(principal=principal, policy=bound, state=state))
    return desired_state(subjects)


@pytest.mark.parametrize("seed", range(120))
def test_commands_lead_to_the_desired_state_and_at_no_moment_allow_what_neither_side_allows(seed: int) -> None:
    dice = Dice(roll=random.Random(seed), levels=("a", "b", "c"))
    before, after = fleet(dice), fleet(dice)
    plugin = Plugin(before)
    for command in changes(after, before):
        plugin.obey(json.loads(command.to_json()))
        now = plugin.state()
        for name, request in product(now.clients, EVERYTHING):
            if emulate(now, name, request):
                assert emulate(before, name, request) or emulate(after, name, request), (command, request)
    assert plugin.state() == after
    assert changes(after, plugin.state()) == ()


def test_foreign_drift_on_a_client_of_ours_is_undone_with_one_command() -> None:
    dice = Dice(roll=random.Random(3), levels=("a", "b"))
    wanted = desired_state([_admitted("d1", dice)])
    plugin = Plugin(wanted)
    plugin.clients["d1"]["roles"] = [{"rolename": "admin"}]
    plugin.clients["d1"]["groups"] = [{"groupname": "admins"}]
    (command,) = changes(wanted, plugin.state())
    assert (command.name, command.members["groups"]) == ("modifyClient", [])


def test_restrictions_come_before_extensions() -> None:
    dice = Dice(roll=random.Random(5), levels=("a", "b", "c"))
    names = [[command.name for command in changes(fleet(dice), fleet(dice))] for _ in range(50)]
    for found in names:
        order = ["createRole", "modifyRole", "deleteClient", "modifyClient", "createClient", "deleteRole"]
        creations = [place for place, name in enumerate(found) if name == "createRole"]
        clients = [place for place, name in enumerate(found) if name.endswith("Client")]
        deletions = [place for place, name in enumerate(found) if name == "deleteRole"]
        assert max(creations, default=-1) < min([*clients, *deletions], default=len(found))
        assert min(deletions, default=len(found)) > max(clients, default=-1)
        assert {name for name in found if "able" not in name} <= set(order)


def test_a_part_of_the_fleet_never_deletes_what_others_may_share() -> None:
    dice = Dice(roll=random.Random(7), levels=("a", "b"))
    before = desired_state([_admitted("d1", dice)])
    gone = changes(DynsecState(), before, only=frozenset({"d1"}))
    assert [command.name for command in gone] == ["deleteClient"]
    fresh = changes(before, DynsecState(), only=frozenset({"d1"}))
    shared = [(command.name, command.tolerates) for command in fresh if command.target == "gh.r.pump.allow"]
    assert shared == [("modifyRole", NO_ROLE), ("createRole", ("Role already exists",))]


def test_a_bar_is_two_commands_of_which_the_first_takes_everything_away() -> None:
    before = desired_state([_admitted("d1", Dice(roll=random.Random(7), levels=("a", "b")))])
    barred = desired_state([replace(_admitted("d1", Dice(roll=random.Random(7))), state=Standing.BARRED)])
    first, second = changes(barred, replace(before, roles={**before.roles, **barred.roles}), only=frozenset({"d1"}))
    assert (first.name, first.members["roles"]) == ("modifyClient", [{"rolename": "gh.barred", "priority": 1000}])
    assert second.name == "disableClient"


def test_batches_are_bounded_and_correlated() -> None:
    commands = [
        Command(name="deleteRole", target=str(number), summary="", members={"rolename": "x" * 9_000})
        for number in range(50)
    ]
    found = list(batches(commands, correlation="op"))
    assert [command for batch, _ in found for command in batch] == commands
    assert all(len(text) < 66_000 and len(batch) <= 20 for batch, text in found)
    marks = [entry["correlationData"] for _, text in found for entry in json.loads(text)["commands"]]
    assert marks == [f"op-{number}" for number in range(50)]


def test_acls_without_priority_or_allow_read_as_the_plugin_means_them() -> None:
    (acl,) = acls_of({"acls": [{"acltype": "publishClientSend", "topic": "a"}]})
    assert (acl.priority, acl.allow) == (0, False)


def _admitted(name: str, dice: Dice) -> RenderSubject:
    principal = Principal(id=name, auth_id=name, client_id=name, username=name, domain="d")
    policy = tuple(rule for _ in range(4) for rule in dice.policy() if rule.role_name == "pump")
    return RenderSubject(principal=principal, policy=policy, state=Standing.ADMITTED)
