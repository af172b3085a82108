from __future__ import annotations

import json
from typing import Any

import pytest

from brokers.core.mosquitto.dynsec import desired_state
from brokers.core.mosquitto.dynsec_changes import changes
from brokers.core.mosquitto.dynsec_first_file import first_file_hint, merged
from brokers.core.mosquitto.dynsec_state import DynsecClient, DynsecState, InvalidDynsec, parse, to_artifact
from brokers.core.ports import Standing
from tests.brokers.subjects import ALL, UP, subject

DESIRED = desired_state([subject("p-1", UP, ALL), subject("p-2", standing=Standing.BARRED)])
ARTIFACT = to_artifact(DESIRED)
HASH = {"password": "aGFzaA==", "salt": "c2FsdA==", "iterations": 101}
CONTROL = {"username": "control", "textname": "Dynsec admin user", "roles": [{"rolename": "admin"}], **HASH}
ADMIN_ROLE = {"rolename": "admin", "acls": [{"acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": True}]}
INITIAL: dict[str, Any] = {
    "clients": [CONTROL],
    "roles": [ADMIN_ROLE],
    "defaultACLAccess": {"publishClientReceive": True, "subscribe": False},
}


def merge(existing: object, artifact: str = ARTIFACT, *, control: str = "control") -> Any:
    return json.loads(merged(json.dumps(existing), artifact, control=control))


def named(document: Any, member: str, key: str) -> dict[str, Any]:
    found = {entry[key]: entry for entry in document[member]}
    assert len(found) == len(document[member])  # 2.0.16 and later refuse duplicates
    return found


def with_more(**more: list[Any]) -> dict[str, Any]:
    return {**INITIAL, **{member: INITIAL.get(member, []) + entries for member, entries in more.items()}}


def test_broker_that_starts_with_it_has_nothing_left_to_do() -> None:
    assert changes(DESIRED, parse(json.dumps(merge(INITIAL)))) == ()


def test_control_account_and_its_role_stay_as_they_are() -> None:
    document = merge(INITIAL)
    assert named(document, "clients", "username")["control"] == CONTROL
    assert document["roles"][0] == ADMIN_ROLE
    assert set(named(document, "clients", "username")) == {"control", "p-1", "p-2"}


def test_what_is_not_ours_stays() -> None:
    bridge = {"username": "bridge", "roles": [{"rolename": "bridges", "priority": 5}], **HASH, "textdescription": "x"}
    bridges = {"rolename": "bridges", "acls": [{"acltype": "subscribePattern", "topic": "#", "allow": True}]}
    group = {"groupname": "all", "roles": [{"rolename": "bridges"}], "clients": [{"username": "bridge", "priority": 4}]}
    existing = {**with_more(clients=[bridge], roles=[bridges], groups=[group]), "anonymousGroup": "all"}
    document = merge(existing)
    assert named(document, "clients", "username")["bridge"] == bridge
    assert named(document, "roles", "rolename")["bridges"] == bridges
    assert (document["groups"], document["anonymousGroup"]) == ([group], "all")


def test_what_is_ours_and_no_longer_wanted_goes_also_where_others_refer_to_it() -> None:
    gone = {"rolename": "gh.r.gone.allow", "acls": []}
    stale = {"username": "p-9", "textname": "gh.9", "roles": [{"rolename": "gh.r.gone.allow"}]}
    bridge = {"username": "bridge", "roles": [{"rolename": "gh.r.gone.allow"}, {"rolename": "gh.r.pump.allow"}]}
    group = {"groupname": "all", "roles": [{"rolename": "gh.r.gone.allow"}], "clients": [{"username": "bridge"}]}
    document = merge(with_more(clients=[stale, bridge], roles=[gone], groups=[group]))
    assert set(named(document, "roles", "rolename")) == {"admin", *DESIRED.roles}
    clients = named(document, "clients", "username")
    assert "p-9" not in clients
    assert clients["bridge"]["roles"] == [{"rolename": "gh.r.pump.allow"}]
    assert document["groups"][0]["roles"] == []


def test_last_clients_come_first() -> None:
    existing = with_more(clients=[{"username": name} for name in ("é", "z", "\U00010000", "\ufffd")])
    found = [client["username"] for client in merge(existing)["clients"]]
    assert found == ["\U00010000", "\ufffd", "é", "z", "p-2", "p-1", "control"]  # as strcmp has them


def test_second_merge_changes_nothing() -> None:
    once = merge(INITIAL)
    assert merge(once) == once


def test_account_with_a_devices_name_becomes_the_devices_and_keeps_its_password() -> None:
    by_hand = {"username": "p-1", "clientid": "x", "disabled": True, "roles": [{"rolename": "admin"}], **HASH}
    group = {"groupname": "all", "roles": [], "clients": [{"username": "p-1"}, {"username": "control"}]}
    document = merge(with_more(clients=[by_hand], groups=[group]))
    client = named(document, "clients", "username")["p-1"]
    assert client["password"] == HASH["password"]
    assert "disabled" not in client
    assert {each["rolename"] for each in client["roles"]} == {name for name, _ in DESIRED.clients["p-1"].roles}
    assert document["groups"][0]["clients"] == [{"username": "control"}]


def test_device_called_like_the_control_account_never_touches_it() -> None:
    artifact = to_artifact(desired_state([subject("control", UP), subject("p-1", UP)]))
    assert named(merge(INITIAL, artifact), "clients", "username")["control"] == CONTROL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "not JSON",
        "[" * 100_000,
        '{"clients": [{"username": "control"}]}',
        '{"clients": [{"username": "control"}, 7], "roles": []}',
        '{"clients": [{"username": "control"}], "roles": [{"name": "x"}]}',
        '{"clients": [{"username": "control", "roles": 7}], "roles": []}',
        '{"clients": [{"username": "control"}], "roles": [], "groups": 7}',
        '{"clients": [{"username": "control"}], "roles": [], "groups": [{"clients": [{}]}]}',
        r'{"clients": [{"username": "control", "textname": "\ud800"}], "roles": []}',
    ],
)
def test_what_is_no_file_of_the_plugin_is_refused(text: str) -> None:
    with pytest.raises(InvalidDynsec, match="This is no file of Mosquitto's dynamic security plugin"):
        merged(text, ARTIFACT, control="control")


def test_file_without_the_control_account_is_another_brokers() -> None:
    with pytest.raises(InvalidDynsec, match="no account 'gatehouse/control', so it is another broker's"):
        merge(INITIAL, control="gatehouse/control")


def state(clients: int, roles: int, foreign: int = 0) -> DynsecState:
    return DynsecState(
        roles={f"gh.d.{number}": frozenset() for number in range(roles)},
        clients={str(number): DynsecClient(username=str(number), mark="gh.") for number in range(clients)},
        foreign=frozenset(f"other {number}" for number in range(foreign)),
    )


@pytest.mark.parametrize(
    ("wanted", "held", "said"),
    [
        (state(200, 200), state(0, 0), ""),
        (state(1_000, 1_000), state(400, 400, foreign=201), ""),  # it has more than it gets
        (state(1_000, 1_000), state(0, 0), "each of 2000 commands, which takes 8 seconds or more"),  # 4 ms each
        (state(10_000, 10_000), state(0, 0), "each of 20000 commands, which takes 13 minutes or more"),  # 40 ms each
    ],
)
def test_many_devices_for_an_empty_broker_are_worth_a_file(wanted: DynsecState, held: DynsecState, said: str) -> None:
    hint = first_file_hint(wanted, held, broker="hall-7")
    assert said in hint
    assert bool(hint) is bool(said)
    assert not said or "manage.py brokers first-file hall-7" in hint
