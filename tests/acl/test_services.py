from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from acl import models
from acl.core.rules import InvalidRole, RuleSpec
from acl.core.values import Action, Effect, Retain, Role, RoleId, Shared
from acl.queries import RoleNotFound, find_role, get_role, list_roles, roles_by_id
from acl.services import RoleChanged, RoleNameTaken, change_role, create_role, delete_role
from kernel.core.ids import new_id
from kernel.queries import list_entries
from tests.cast import ADA, NORTH, NOW, SOUTH

pytestmark = pytest.mark.django_db

UP = RuleSpec(
    effect=Effect.ALLOW,
    actions=frozenset({Action.PUBLISH}),
    topic="${domain}/${client_id}/up/#",
    qos=frozenset({0, 2}),
    retain=Retain.NEVER,
)
DOWN = RuleSpec(
    effect=Effect.DENY,
    actions=frozenset({Action.PUBLISH, Action.SUBSCRIBE}),
    topic="caf\u00e9/+/#",
    shared=Shared.ONLY,
    shared_group="workers",
)
LATER = NOW + timedelta(minutes=1)


def made(name: str = "pump", *rules: RuleSpec) -> Role:
    return create_role(domain=NORTH, name=name, rules=rules or (UP, DOWN), actor=ADA, now=NOW)


def test_a_role_is_read_back_as_it_was_made() -> None:
    role = made()
    assert get_role(id=role.id) == role
    assert [RuleSpec.of(rule) for rule in role.rules] == [UP, DOWN]
    assert (role.name, role.domain, role.version) == ("pump", NORTH, 1)


def test_making_a_role_is_in_the_journal_with_its_rules() -> None:
    role = made()
    (entry,) = list_entries(subject_kind="acl.role", subject_id=str(role.id))
    assert (entry.action, entry.actor, entry.domain, entry.at) == ("acl.role.created", ADA, NORTH, NOW)
    assert entry.after["rules"][0]["topic"] == "${domain}/${client_id}/up/#"
    assert entry.after["rules"][0]["qos"] == [0, 2]


def test_two_roles_of_a_domain_have_different_names() -> None:
    made()
    with pytest.raises(RoleNameTaken) as caught:
        made()
    assert caught.value.errors[0].pointer == "/name"
    create_role(domain=SOUTH, name="pump", rules=(UP,), actor=ADA, now=NOW)


def test_a_faulty_role_is_refused_and_leaves_nothing() -> None:
    with pytest.raises(InvalidRole):
        made("bad name")
    assert list_roles(domains=[NORTH]) == []


def test_rules_that_stay_keep_their_ids_and_the_version_rises() -> None:
    before = made()
    after = change_role(role=before.id, rules=(DOWN,), actor=ADA, now=LATER)
    assert after.version == 2
    assert [rule.id for rule in after.rules] == [before.rules[1].id]
    entry = list_entries(subject_kind="acl.role", subject_id=str(before.id))[0]
    assert entry.action == "acl.role.changed"
    assert (len(entry.before["rules"]), len(entry.after["rules"])) == (2, 1)


def test_rules_may_change_places() -> None:
    before = made()
    after = change_role(role=before.id, rules=(DOWN, UP), actor=ADA, now=LATER)
    assert [rule.id for rule in after.rules] == [before.rules[1].id, before.rules[0].id]


def test_a_change_that_changes_nothing_is_not_recorded() -> None:
    before = made()
    assert change_role(role=before.id, rules=(UP, DOWN), actor=ADA, now=LATER) == before
    assert len(list_entries(subject_kind="acl.role", subject_id=str(before.id))) == 1


def test_a_role_is_renamed_and_described() -> None:
    role = change_role(role=made().id, rules=(UP, DOWN), name="valve", description="Valves", actor=ADA, now=LATER)
    assert (role.name, role.description) == ("valve", "Valves")
    assert find_role(domain=NORTH, name="pump") is None
    assert find_role(domain=NORTH, name="valve") == role


def test_a_change_of_another_version_is_refused() -> None:
    role = made()
    with pytest.raises(RoleChanged):
        change_role(role=role.id, rules=(UP,), expected_version=2, actor=ADA, now=LATER)
    change_role(role=role.id, rules=(UP,), expected_version=1, actor=ADA, now=LATER)
    with pytest.raises(RoleChanged):
        delete_role(role=role.id, expected_version=1, actor=ADA, now=LATER)


def test_a_deleted_role_is_gone_and_in_the_journal() -> None:
    role = made()
    delete_role(role=role.id, actor=ADA, now=LATER)
    with pytest.raises(RoleNotFound):
        get_role(id=role.id)
    assert list_entries(subject_kind="acl.role", subject_id=str(role.id))[0].action == "acl.role.deleted"
    with pytest.raises(RoleNotFound):
        delete_role(role=role.id, actor=ADA, now=LATER)


def test_another_domain_s_role_is_not_found() -> None:
    role = made()
    assert get_role(id=role.id, domains=[NORTH]) == role
    with pytest.raises(RoleNotFound):
        get_role(id=role.id, domains=[SOUTH])


def test_roles_are_listed_by_name_and_paged() -> None:
    roles = [made(name) for name in ("c", "a", "b")]
    assert [role.name for role in list_roles(domains=[NORTH], limit=2)] == ["a", "b"]
    assert [role.name for role in list_roles(domains=[NORTH], after=("b", roles[2].id))] == ["c"]
    assert [role.name for role in list_roles(domains=[NORTH], name="b")] == ["b"]
    assert set(roles_by_id(ids=[roles[0].id, RoleId(new_id())])) == {roles[0].id}


def test_reading_many_roles_costs_two_queries(django_assert_num_queries: object) -> None:
    for name in ("a", "b", "c"):
        made(name)
    with django_assert_num_queries(2):  # type: ignore[operator]
        list_roles(domains=[NORTH])


@pytest.mark.parametrize(
    "wrong",
    [
        {"effect": "maybe"},
        {"publish": False, "subscribe": False},
        {"qos": 0},
        {"qos": 8},
        {"topic": ""},
        {"publish": False, "subscribe": True, "retain": "only"},
        {"shared": "only"},
        {"shared": "never", "shared_group": "g", "subscribe": True},
    ],
)
def test_the_database_itself_refuses_rules_that_make_no_sense(wrong: dict[str, object]) -> None:
    role = made()
    row = models.Rule.of(UP, id=role.rules[0].id, role=role.id, position=9)
    row.id = new_id()
    for name, value in wrong.items():
        setattr(row, name, value)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)
    assert connection.is_usable()
