"""A difference told to people and to programs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from devices.core.policy_document import (
    BindingSpec,
    BindingVia,
    GroupSpec,
    PolicyDifference,
    PolicyDocument,
    RoleSpec,
    differences,
)
from devices.core.policy_plan import difference_json, plan_lines, summary
from devices.core.policy_yaml import from_yaml
from devices.core.windows import Window

BEFORE = """\
gatehouse_policy: 1
domain: north
quarantine_role: quiet
groups: []
roles:
- name: old
  rules:
  - {effect: allow, actions: [publish], topic: o}
- name: pumps
  description: Pumps
  rules:
  - {effect: allow, actions: [publish], topic: a}
  - {effect: allow, actions: [publish], topic: b}
  - {effect: allow, actions: [publish], topic: c}
- name: quiet
  rules: []
bindings:
- {role: old, domain: north}
"""
AFTER = """\
gatehouse_policy: 1
domain: north
quarantine_role: null
groups:
- {name: hall}
roles:
- name: new
  description: New
  rules:
  - {effect: deny, actions: [publish, subscribe], topic: "n/#", qos: [0]}
- name: pumps
  rules:
  - {effect: allow, actions: [publish], topic: b}
  - {effect: allow, actions: [publish], topic: a}
  - {effect: allow, actions: [subscribe], topic: d}
- name: quiet
  rules: []
bindings:
- {role: new, group: hall}
"""
FOUND = differences(from_yaml(BEFORE).document, from_yaml(AFTER).document)


def test_plan_has_a_line_for_each_thing() -> None:
    assert list(plan_lines(FOUND)) == [
        "~ quarantine role: quiet -> null",
        "+ group hall",
        "+ role new",
        "  + description: New",
        '  + {effect: deny, actions: [publish, subscribe], topic: "n/#", qos: [0]}',
        "~ role pumps",
        "  - description: Pumps",
        "  - {effect: allow, actions: [publish], topic: c}",
        "  + {effect: allow, actions: [subscribe], topic: d}",
        "  ~ the order of its rules, which has no effect",
        "- role old",
        "  - {effect: allow, actions: [publish], topic: o}",
        "+ binding {role: new, group: hall}",
        "- binding {role: old, domain: north}",
    ]
    assert summary(FOUND) == (
        "Roles: 1 added, 1 changed, 1 removed. Bindings: 1 added, 0 changed, 1 removed. "
        "Groups: 1 added, 0 changed. The quarantine role changes."
    )


def test_nothing_is_said_of_no_difference() -> None:
    assert list(plan_lines(PolicyDifference())) == []
    assert summary(PolicyDifference()) == "Nothing differs."
    assert difference_json(PolicyDifference())["is_empty"] is True


def test_a_changed_window_is_a_change_of_its_binding_and_nothing_else() -> None:
    given = BindingSpec(role="pumps", via=BindingVia.GROUP, target="hall")
    timed = replace(given, window=Window(not_after=datetime(2027, 3, 1, 12, tzinfo=UTC)))
    before, after = (
        PolicyDocument.of(
            domain="north", roles=[RoleSpec(name="pumps")], bindings=[binding], groups=[GroupSpec(name="hall")]
        )
        for binding in (given, timed)
    )
    assert list(plan_lines(differences(before, after))) == [
        '~ binding {role: pumps, group: hall} -> {not_after: "2027-03-01T12:00:00Z"}'
    ]
    assert list(plan_lines(differences(after, before))) == [
        '~ binding {role: pumps, group: hall, not_after: "2027-03-01T12:00:00Z"} -> always'
    ]
    told = difference_json(differences(before, after))["bindings"]
    assert (told["added"], told["removed"]) == ([], [])
    assert told["changed"] == [
        {
            "before": {"role": "pumps", "group": "hall"},
            "after": {"role": "pumps", "group": "hall", "not_after": "2027-03-01T12:00:00Z"},
        }
    ]


def test_programs_get_the_same() -> None:
    found = difference_json(FOUND)
    assert found["quarantine_role"] == {"before": "quiet", "after": None}
    assert [role["name"] for role in found["roles"]["added"]] == ["new"]
    assert [role["name"] for role in found["roles"]["removed"]] == ["old"]
    assert found["roles"]["changed"] == [
        {
            "name": "pumps",
            "description": {"before": "Pumps", "after": ""},
            "rules": {
                "added": [{"effect": "allow", "actions": ["subscribe"], "topic": "d"}],
                "removed": [{"effect": "allow", "actions": ["publish"], "topic": "c"}],
                "reordered": True,
            },
        }
    ]
    assert found["bindings"] == {
        "added": [{"role": "new", "group": "hall"}],
        "changed": [],
        "removed": [{"role": "old", "domain": "north"}],
    }
    assert found["groups"] == {"added": [{"name": "hall"}], "changed": []}
