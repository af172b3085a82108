from __future__ import annotations

import json
from typing import Any

import pytest

from acl.core.values import Action, Retain, Shared
from brokers.core.hivemq.ese_sql import NoSqlRealm, parse, render, to_artifact
from brokers.core.hivemq.policy import NOTHING_ROLE
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from tests.brokers.core.faithfulness import PUMP
from tests.brokers.core.hivemq.test_policy import person
from tests.brokers.core.nats.test_policy import admitted, bound

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def rows(*subjects: RenderSubject) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(render(subjects).artifact)
    return found


def test_the_rows_of_an_account() -> None:
    found = rows(admitted(bound("allow", "a/#"), bound("allow", "b/${auth_id}/#", actions=PUBLISH)))
    assert found["users"] == [{"username": "pump"}]
    own = next(row for row in found["permissions"] if row["topic"] == "b/pump/#")
    assert {name: value for name, value in own.items() if name != "key"} == {
        "topic": "b/pump/#",
        "publish_allowed": True,
        "subscribe_allowed": False,
        "qos_0_allowed": True,
        "qos_1_allowed": True,
        "qos_2_allowed": True,
        "retained_msgs_allowed": True,
        "shared_sub_allowed": False,
        "shared_group": "",
    }
    assert found["user_permissions"] == [{"user": "pump", "permission": own["key"]}]
    role = next(row["name"] for row in found["roles"] if row["name"] != NOTHING_ROLE)
    assert role.startswith("gh.r.pump.")
    assert found["user_roles"] == [{"user": "pump", "role": NOTHING_ROLE}, {"user": "pump", "role": role}]
    assert {row["role"] for row in found["role_permissions"]} == {NOTHING_ROLE, role}


def test_two_accounts_with_the_same_attribute_share_the_rows_that_it_makes() -> None:
    rule = bound("allow", "a/${attr.site}/#", actions=PUBLISH)
    people = [person(name, attributes={"site": "berlin"}) for name in ("a", "b")]
    found = rows(*(admitted(rule, principal=each) for each in people))
    assert len([row for row in found["permissions"] if row["topic"] == "a/berlin/#"]) == 1
    assert {row["role"] for row in found["user_roles"] if row["user"] == "a"} == {
        row["role"] for row in found["user_roles"] if row["user"] == "b"
    }
    assert found["user_permissions"] == []


@pytest.mark.parametrize("alike", ["pump", "PUMP", "P\u00fcmp", "Pump ", "\uff30ump"])
def test_names_that_a_database_may_take_for_one_get_no_account(alike: str) -> None:
    rules = (bound("allow", "a/#"), bound("deny", "b/#"))
    people = [person(name) for name in ("Pump", alike, "valve")]
    rendering = render([admitted(*rules, principal=each) for each in people])
    assert set(parse(rendering.artifact).users) == {"valve"}
    [deviation] = rendering.deviations
    assert (deviation.rule, deviation.kind) == (rules[0], DeviationKind.NARROWER)
    assert set(deviation.principals) == {"Pump", alike}


@pytest.mark.parametrize(("state", "admitted_too"), [(Standing.BARRED, False), (Standing.ABSENT, True)])
def test_who_is_barred_takes_its_namesake_along_and_who_is_absent_does_not(
    state: Standing, *, admitted_too: bool
) -> None:
    other = RenderSubject(principal=person("Pump"), policy=(), state=state)
    users = parse(render([admitted(bound("allow", "a/#")), other]).artifact).users
    assert ("pump" in users) is admitted_too
    assert "Pump" not in users


def test_that_the_rows_are_the_whole_is_told_with_them() -> None:
    [warning] = render([]).warnings
    assert "in one transaction, and delete what is not in them" in warning
    assert render([admitted(bound("allow", "a/#"))]).warnings == (warning,)


def test_a_barred_account_stays_with_nothing_and_its_password_is_null() -> None:
    barred = RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)
    found = rows(barred)
    assert found["users"] == [{"username": "pump", "password": None}]
    assert found["user_roles"] == [{"user": "pump", "role": NOTHING_ROLE}]
    assert found["user_permissions"] == []


@pytest.mark.parametrize(
    ("conditions", "columns"),
    [
        ({"actions": PUBLISH, "retain": Retain.NEVER}, {"retained_msgs_allowed": False}),
        ({"actions": PUBLISH, "qos": frozenset({0, 2})}, {"qos_1_allowed": False, "qos_2_allowed": True}),
        ({"actions": SUBSCRIBE, "shared": Shared.NEVER}, {"shared_sub_allowed": False, "subscribe_allowed": True}),
        ({"actions": SUBSCRIBE}, {"shared_sub_allowed": True, "shared_group": ""}),
    ],
)
def test_conditions_as_columns(conditions: dict[str, Any], columns: dict[str, Any]) -> None:
    found = rows(admitted(bound("allow", "a/#", **conditions)))
    row = next(row for row in found["permissions"] if row["topic"] == "a/#")
    assert {name: row[name] for name in columns} == columns


@pytest.mark.parametrize(
    "conditions",
    [{"actions": PUBLISH, "retain": Retain.ONLY}, {"actions": SUBSCRIBE, "shared": Shared.ONLY}],
)
def test_what_no_row_can_say_is_left_out_and_declared(conditions: dict[str, Any]) -> None:
    rendering = render([admitted(bound("allow", "a/#", **conditions))])
    assert '"a/#"' not in rendering.artifact
    assert [deviation.kind for deviation in rendering.deviations] == ["narrower"]


def test_what_is_shared_by_one_group_is_said_beside_plain_subscriptions() -> None:
    policy = (
        bound("allow", "a/#", actions=SUBSCRIBE),
        bound("deny", "a/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="g"),
        bound("allow", "b/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="h"),
    )
    found = [row for row in rows(admitted(*policy))["permissions"] if row["topic"] == "a/#"]
    assert [(row["shared_sub_allowed"], row["shared_group"]) for row in found] == [(True, "h"), (False, "")]


def test_rows_do_not_depend_on_the_order_of_accounts() -> None:
    subjects = [admitted(bound("allow", "a/#"), principal=person(name)) for name in "abc"]
    artifact = render(subjects).artifact
    assert render(reversed(subjects)).artifact == artifact
    assert to_artifact(parse(artifact)) == artifact


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"permissions": []}',
        '{"permissions": [{"key": 1}]}',
        '{"permissions": [5]}',
        "[" * 100_000,
        '{"permissions": [], "role_permissions": [{"role": "r", "permission": "p"}], "roles": [], "users": []}',
    ],
)
def test_what_is_not_rows_is_refused(text: str) -> None:
    with pytest.raises(NoSqlRealm):
        parse(text)
