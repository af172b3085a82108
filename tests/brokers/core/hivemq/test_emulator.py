"""Worked out by hand from the rules in HiveMQ's `PermissionTopicMatcherUtils` and `DefaultPermissionsEvaluator`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acl.core.values import Publish, Receive, Request, Subscribe
from brokers.core.hivemq.emulator import allows, deliverable_ese, delivers, emulate_ese, emulate_rbac
from brokers.core.hivemq.permissions import Account, Activity, Permission, Realm, Retained, Sharing
from tests.brokers.core.faithfulness import PUMP

MATCHED = [
    ("a/b", "a/b", True),
    ("a/b", "a/b/", True),
    ("a/b", "a/b//", True),
    ("a/b/", "a/b", True),
    ("a/b", "a", False),
    ("a/b", "A/b", False),
    ("a/+", "a/b", True),
    ("a/+", "a/b/", False),
    ("a/+/", "a/b", True),
    ("a/+/", "a/b/", False),
    ("+/b", "$SYS/b", True),
    ("#", "$SYS/b", True),
    ("#", "a/b", True),
    ("+/#", "a", True),
    ("a/#", "a", True),
    ("a/#", "a/b/c", True),
    ("a/#", "b", False),
    ("/#", "a", False),
    ("/", "/", False),
    ("/", "//", True),
    ("a/b/#", "a", False),
]


@pytest.mark.parametrize(("permission", "topic", "passes"), MATCHED)
def test_a_permission_meets_a_topic_name(permission: str, topic: str, passes: bool) -> None:
    assert allows([Permission(topic=permission)], Publish(topic=topic)) is passes


@pytest.mark.parametrize(
    ("permission", "asked", "granted"),
    [
        ("a/+", "a/#", True),
        ("a/+/#", "a/#", True),
        ("a/+/+/#", "a/#", False),
        ("a/+", "a/+", True),
        ("a/b", "a/+", False),
        ("a/b", "a/#", False),
        ("a/#", "a/+/b", True),
        ("+/b", "$SYS/b", True),
    ],
)
def test_the_filter_that_is_asked_for_is_taken_for_a_name(permission: str, asked: str, granted: bool) -> None:
    assert allows([Permission(topic=permission)], Subscribe(topic=asked)) is granted


def test_what_is_granted_is_delivered_without_another_look() -> None:
    held = [Permission(topic="a/+")]
    assert delivers(held, Subscribe(topic="a/#"), "a/b/c")
    assert not delivers(held, Subscribe(topic="b/#"), "b/c")
    assert not delivers([Permission(topic="#")], Subscribe(topic="#"), "$SYS/x")  # MQTT itself sees to that


def test_without_any_permission_everything_is_allowed() -> None:
    assert allows([], Publish(topic="a"))
    assert allows([], Subscribe(topic="#"))


@pytest.mark.parametrize(
    ("permission", "request_", "passes"),
    [
        (Permission(topic="a", activity=Activity.PUBLISH), Subscribe(topic="a"), False),
        (Permission(topic="a", activity=Activity.SUBSCRIBE), Publish(topic="a"), False),
        (Permission(topic="a", qos=frozenset({0, 2})), Publish(topic="a", qos=1), False),
        (Permission(topic="a", retain=Retained.RETAINED), Publish(topic="a"), False),
        (Permission(topic="a", retain=Retained.RETAINED), Publish(topic="a", retain=True), True),
        (Permission(topic="a", retain=Retained.NOT_RETAINED), Publish(topic="a", retain=True), False),
        (Permission(topic="a", retain=Retained.RETAINED), Subscribe(topic="a"), True),
        (Permission(topic="a", shared=Sharing.SHARED), Subscribe(topic="a"), False),
        (Permission(topic="a", shared=Sharing.SHARED), Subscribe(topic="a", group="g"), True),
        (Permission(topic="a", shared=Sharing.NOT_SHARED), Subscribe(topic="a", group="g"), False),
        (Permission(topic="a", group="g"), Subscribe(topic="a", group="h"), False),
        (Permission(topic="a", group="g"), Subscribe(topic="a"), True),
        (Permission(topic="a", shared=Sharing.SHARED, group="g"), Receive(topic="a"), True),
        (Permission(topic="a", activity=Activity.PUBLISH), Receive(topic="a"), False),
    ],
)
def test_conditions_of_a_permission(permission: Permission, request_: Request, passes: bool) -> None:
    assert allows([permission], request_) is passes


def realm(*permissions: Permission) -> Realm:
    return Realm(users={"pump": Account(roles=("r",))}, roles={"r": frozenset(permissions)})


def test_an_account_that_is_not_there_can_not_log_in() -> None:
    assert not emulate_ese(Realm(), PUMP, Publish(topic="a"))
    assert not emulate_rbac(Realm(), PUMP, Publish(topic="a"))
    assert not deliverable_ese(Realm(), PUMP, Subscribe(topic="a"), "a")


def test_ese_puts_in_whatever_client_id_there_is() -> None:
    ours = realm(Permission(topic="tele/${mqtt-clientid}/x"))
    assert emulate_ese(ours, PUMP, Publish(topic="tele/pump/x"))
    assert not emulate_ese(ours, PUMP, Publish(topic="tele/valve/x"))
    assert emulate_ese(ours, replace(PUMP, client_id="+"), Publish(topic="tele/valve/x"))


def test_ese_lets_an_account_without_permissions_do_everything_and_file_rbac_does_not() -> None:
    assert emulate_ese(realm(), PUMP, Publish(topic="a"))
    assert not emulate_rbac(realm(), PUMP, Publish(topic="a"))


@pytest.mark.parametrize("name", ["pu+mp", "#"])
def test_file_rbac_refuses_wildcards_in_names_and_client_ids(name: str) -> None:
    ours = Realm(users={"pump": Account(roles=("r",)), name: Account(roles=("r",))}, roles=realm(ANY).roles)
    assert emulate_rbac(ours, PUMP, Publish(topic="a"))
    assert not emulate_rbac(ours, replace(PUMP, client_id=name), Publish(topic="a"))
    assert not emulate_rbac(ours, replace(PUMP, auth_id=name), Publish(topic="a"))


ANY = Permission(topic="#")


@pytest.mark.parametrize(
    ("topic", "client_id", "passes"),
    [
        ("d/${{clientid}}", "c", "d/c"),
        ("d/${{CLIENTID}}/x", "c", "d/c/x"),
        ("d/x-${{username}}", "c", "d/x-pump"),
        ("d/\u00a7${{clientid}}", "c", "d/${{clientid}}"),
        ("d/${{client_id}}", "c", "d/${{client_id}}"),
        ("d/${{clientid}}", "a/b", "d/a/b"),
        ("d/${{clientid}}", "${{username}}", "d/pump"),
        ("d/${{clientid", "c", "d/${{clientid"),
        ("d/${{site:-x}}", "c", "d/x"),
        ("d/\u00a7${{", "c", "d/\u00a7${{"),
        ("d/${{username}}\u00a7${{clientid}}", "c", "d/pump${{clientid}}"),
    ],
)
def test_what_file_rbac_puts_in(topic: str, client_id: str, passes: str) -> None:
    who = replace(PUMP, client_id=client_id)
    ours = realm(Permission(topic=topic))
    assert emulate_rbac(ours, who, Publish(topic=passes))
    assert not emulate_rbac(ours, who, Publish(topic="d/other"))


def test_a_value_that_comes_to_itself_ends_the_login() -> None:
    ours = realm(ANY, Permission(topic="d/${{clientid}}"))
    assert not emulate_rbac(ours, replace(PUMP, client_id="${{clientid}}"), Publish(topic="d/x"))


def test_a_filter_that_file_rbac_can_not_build_ends_the_login() -> None:
    assert not emulate_rbac(realm(ANY, Permission(topic="a/b+")), PUMP, Publish(topic="a"))
    assert not emulate_rbac(realm(ANY, Permission(topic="$share/g/a")), PUMP, Publish(topic="a"))
