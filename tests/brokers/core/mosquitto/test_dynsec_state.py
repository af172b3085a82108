from __future__ import annotations

import json

import pytest

from brokers.core.mosquitto.dynsec_state import (
    Acl,
    AclType,
    Defaults,
    DynsecClient,
    DynsecState,
    acl_documents,
    claimed,
    client_document,
    is_ours,
    parse,
    state_of,
    to_artifact,
)


def test_read_back_is_normalised_and_what_is_foreign_left_out() -> None:
    state = state_of(
        clients=[
            {"username": "admin", "textname": "Dynsec admin user", "roles": [{"rolename": "admin"}], "groups": []},
            {"username": "root", "roles": []},
            {
                "username": "pump",
                "textname": "gh.1",
                "clientid": "pump",
                "disabled": True,
                "roles": [{"rolename": "gh.r.pump.deny", "priority": 300}, {"rolename": "admin"}],
                "groups": [{"groupname": "g"}],
            },
        ],
        roles=[
            {"rolename": "admin", "acls": [{"acltype": "publishClientSend", "topic": "#", "allow": True}]},
            {
                "rolename": "gh.r.pump.deny",
                "acls": [
                    {"acltype": "publishClientSend", "topic": "b", "allow": False},
                    {"acltype": "publishClientSend", "topic": "a", "priority": 0, "allow": False},
                ],
            },
            {"rolename": "gh.r.pump.allow"},
        ],
        defaults=[
            {"acltype": "publishClientSend", "allow": False},
            {"acltype": "publishClientReceive", "allow": True},
            {"acltype": "subscribe", "allow": False},
            {"acltype": "unsubscribe", "allow": True},
        ],
    )
    assert state.foreign == {"admin", "root"}
    assert state.defaults == Defaults(receive=True)
    assert state.roles == {
        "gh.r.pump.deny": {
            Acl(kind=AclType.SEND, topic="a", allow=False, priority=0),
            Acl(kind=AclType.SEND, topic="b", allow=False, priority=0),
        },
        "gh.r.pump.allow": frozenset(),
    }
    client = state.clients["pump"]
    assert client.disabled
    assert client.roles == (("admin", -1), ("gh.r.pump.deny", 300))
    assert client.groups == (("g", -1),)
    assert parse(to_artifact(state)) == state


def test_a_client_is_ours_if_it_says_so_or_has_a_role_of_its_own_and_no_other() -> None:
    theirs = {"roles": [{"rolename": "gh.d.a.b.allow"}, {"rolename": "gh.r.pump.allow"}]}
    assert not is_ours({"username": "a", **theirs})
    assert not is_ours({"username": "pump", "textname": "Gatehouse", **theirs})
    assert is_ours({"username": "a.b", **theirs})
    assert is_ours({"username": "pump", "textname": "gh."})


def test_a_client_called_like_a_device_is_ours_by_any_role_of_ours() -> None:
    shared = {"username": "pump", "roles": [{"rolename": "gh.r.sensors.allow"}, {"rolename": "admin"}]}
    assert not is_ours(shared)
    assert is_ours(claimed(shared))
    assert not is_ours(claimed({"username": "pump", "roles": [{"rolename": "admin"}]}))
    marked = {"username": "pump", "roles": [{"rolename": "gh.d.pump.allow"}]}
    assert claimed(marked) == marked


@pytest.mark.parametrize("odd", ["p-1", 'a"b\\c', "é/\u2028/😀", "tab\t\x00\x7f", "{}"])
def test_artifact_says_what_the_commands_say(odd: str) -> None:
    acls = frozenset(Acl(kind=kind, topic=odd, allow=kind is AclType.SEND, priority=7) for kind in AclType)
    plain = DynsecClient(username=odd, mark=f"gh.{odd}")
    whole = DynsecClient(
        username=f"{odd} 2",
        mark="gh.2",
        client_id=odd,
        roles=(("gh.a", -1), (odd, 300)),
        groups=((odd, 4), ("z", -1)),
        disabled=True,
    )
    state = DynsecState(
        roles={odd: acls, f"{odd} ": frozenset()}, clients={each.username: each for each in (whole, plain)}
    )
    document = json.loads(to_artifact(state))
    assert document["clients"] == [client_document(plain), client_document(whole)]
    assert document["roles"] == [{"rolename": odd, "acls": acl_documents(acls)}, {"rolename": f"{odd} ", "acls": []}]
