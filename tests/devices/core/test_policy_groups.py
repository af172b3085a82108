"""Queries of groups in policy documents: read, written, compared, merged, and asked about a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from devices.core.policy_document import (
    BindingSpec,
    BindingVia,
    GroupChange,
    GroupSpec,
    PolicyDocument,
    RoleSpec,
    differences,
)
from devices.core.policy_in_force import PolicyInForce
from devices.core.policy_json import InvalidPolicy
from devices.core.policy_kept import from_kept, to_kept
from devices.core.policy_merge import Decisions, GroupConflict, Side, merge, same_policy
from devices.core.policy_plan import difference_json, plan_lines, summary
from devices.core.policy_yaml import from_yaml, to_yaml
from devices.core.values import Device, DeviceId, DeviceState
from kernel.core.ids import new_id
from tests.cast import NORTH, NOW

NORTHERN, QUAY, YARD = ('attr.site == "north"', 'attr.site == "quay"', 'attr.site == "yard"')
LISTEN = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="all/#")
TEXT = """\
gatehouse_policy: 1
domain: north
quarantine_role: null
groups:
- {name: hall}
- {name: quay, query: "attr.site == \\"quay\\""}
roles:
- name: listeners
  rules:
  - {effect: allow, actions: [subscribe], topic: "all/#"}
bindings:
- {role: listeners, group: quay}
"""


def policy(**queries: str) -> PolicyDocument:
    """`listeners` is given to the first group."""
    return PolicyDocument.of(
        domain="north",
        roles=[RoleSpec(name="listeners", rules=(LISTEN,))],
        bindings=[BindingSpec(role="listeners", via=BindingVia.GROUP, target=next(iter(queries)))],
        groups=[GroupSpec(name=name, query=query) for name, query in queries.items()],
    )


def test_query_is_written_and_read_in_its_one_spelling() -> None:
    document = policy(quay=QUAY, hall="")
    assert to_yaml(document) == TEXT
    assert from_yaml(TEXT.replace("attr.site == ", "attr.site==")).document == document
    assert from_kept(to_kept(document)) == document


@pytest.mark.parametrize(
    ("query", "said"),
    [("site", "Line 6: The query is wrong at character 1"), ("", "Line 6: ")],
)
def test_bad_query_is_told_with_its_line(query: str, said: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        from_yaml(TEXT.replace('attr.site == \\"quay\\"', query))
    [fault] = refused.value.errors
    assert fault.pointer == "/groups/1/query"
    assert fault.detail.startswith(said)


def test_other_query_is_a_change_of_the_group() -> None:
    found = differences(policy(quay=QUAY), policy(quay=YARD, hall=NORTHERN))
    moved = GroupChange(before=GroupSpec(name="quay", query=QUAY), after=GroupSpec(name="quay", query=YARD))
    assert (found.groups_changed, moved.turns) == ((moved,), False)
    assert found.groups_added == (GroupSpec(name="hall", query=NORTHERN),)
    assert list(plan_lines(found)) == [
        "+ group hall",
        '  + query: "attr.site == \\"north\\""',
        "~ group quay",
        '  - query: "attr.site == \\"quay\\""',
        '  + query: "attr.site == \\"yard\\""',
    ]
    assert "Groups: 1 added, 1 changed." in summary(found)
    assert difference_json(found)["groups"] == {
        "added": [{"name": "hall", "query": NORTHERN}],
        "changed": [{"name": "quay", "query": {"before": QUAY, "after": YARD}}],
    }


def test_group_that_would_be_of_the_other_kind_turns() -> None:
    for before, after in ((policy(quay=QUAY), policy(quay="")), (policy(quay=""), policy(quay=QUAY))):
        [change] = differences(before, after).groups_changed
        assert change.turns


def test_query_is_policy_and_a_group_of_chosen_members_is_not() -> None:
    assert same_policy(policy(quay=QUAY), policy(quay=QUAY, hall=""))
    assert not same_policy(policy(quay=QUAY), policy(quay=YARD))
    assert not same_policy(policy(quay=QUAY), policy(quay=QUAY, hall=NORTHERN))


@pytest.mark.parametrize(
    ("base", "present", "draft", "merged"),
    [
        (QUAY, QUAY, YARD, YARD),
        (QUAY, YARD, QUAY, YARD),
        (QUAY, YARD, YARD, YARD),
        (QUAY, QUAY, QUAY, QUAY),
    ],
)
def test_query_that_one_side_changed_is_taken(base: str, present: str, draft: str, merged: str) -> None:
    found = merge(base=policy(quay=base), present=policy(quay=present), draft=policy(quay=draft))
    assert found.is_clean
    assert found.document == policy(quay=merged)


def test_groups_of_either_side_are_kept() -> None:
    base = policy(quay=QUAY)
    found = merge(base=base, present=policy(quay=QUAY, a=YARD), draft=policy(quay=QUAY, b=NORTHERN))
    assert found.is_clean
    assert found.document == policy(quay=QUAY, a=YARD, b=NORTHERN)
    left_out = merge(base=base, present=policy(quay=YARD), draft=replace(base, groups=()))
    assert left_out.document.groups == (GroupSpec(name="quay", query=YARD),)


def test_query_that_both_changed_is_for_people_to_decide() -> None:
    base, present, draft = policy(quay=QUAY), policy(quay=YARD), policy(quay=NORTHERN)
    found = merge(base=base, present=present, draft=draft)
    assert found.groups == (GroupConflict(name="quay", base=QUAY, present=YARD, draft=NORTHERN),)
    assert (found.is_clean, found.document) == (False, present)
    for side, wanted in ((Side.PRESENT, present), (Side.DRAFT, draft)):
        decided = merge(base=base, present=present, draft=draft, decisions=Decisions(groups={"quay": side}))
        assert (decided.is_clean, decided.document) == (True, wanted)


def test_group_that_both_made_with_other_members_is_a_conflict() -> None:
    base = policy(quay=QUAY)
    found = merge(base=base, present=policy(quay=QUAY, a=""), draft=policy(quay=QUAY, a=YARD))
    assert found.groups == (GroupConflict(name="a", base=None, present="", draft=YARD),)


def device(*groups: str, kind: str = "pump", **attributes: str) -> Device:
    return Device(
        id=DeviceId(new_id()),
        domain=NORTH,
        domain_slug="north",
        name="p-1",
        auth_id="p-1",
        client_id="p-1",
        state=DeviceState.ACTIVE,
        device_type=kind,
        hardware_serial="",
        attributes=attributes,
        groups=groups,
        created_at=NOW,
        enrolled_at=None,
    )


def test_documents_say_who_is_in_a_group_by_query_and_not_the_register() -> None:
    document = policy(quay=QUAY)
    asked = PolicyInForce(document, rule_ids={}, binding_ids={}, now=NOW)
    assert asked.role_names(device(site="quay")) == ("listeners",)
    assert asked.role_names(device("quay", site="north")) == ()
    assert asked.role_names(device("quay", kind="")) == ()
    chosen = PolicyInForce(policy(quay=""), rule_ids={}, binding_ids={}, now=NOW)
    assert chosen.role_names(device("quay", site="north")) == ("listeners",)
    assert chosen.role_names(device(site="quay")) == ()


class Interrupted(dict[Any, Any]):
    """Ids that nobody has; at the first look something else is done before the answer."""

    act: Callable[[], object] | None = None

    def get(self, *_: Any) -> None:
        act, self.act = self.act, None
        if act:
            act()


def test_two_threads_that_ask_at_once_are_told_by_the_same_rules() -> None:
    ids, pump, told = Interrupted(), device("quay"), []
    asked = PolicyInForce(policy(quay=""), rule_ids=ids, binding_ids={}, now=NOW)
    ids.act = lambda: told.append(asked.policy_of(pump))
    told.append(asked.policy_of(pump))
    assert [rule.rule.topic for rule in told[0]] == ["all/#"]
    assert told[0] is told[1]  # the parts of a policy are known by their ids: none may be let go of
