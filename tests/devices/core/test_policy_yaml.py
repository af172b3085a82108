"""Policy documents as YAML: the same octets every time, the same value to every reader, each fault with its line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from acl.core.rules import RuleSpec
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Shared
from devices.core.names import name_fault
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec
from devices.core.policy_json import InvalidPolicy, policy_json, schema_text
from devices.core.policy_yaml import from_yaml, to_yaml
from devices.core.windows import Window

NORTH = """\
gatehouse_policy: 1
domain: north
quarantine_role: quiet
groups:
- {name: hall-1}
- {name: "Halle \u00e4"}
roles:
- name: pumps
  description: "What pumps do:\\nreport."
  rules:
  - {effect: allow, actions: [publish], topic: "${domain}/${client_id}/up/#", qos: [0, 1], retain: never}
  - {effect: deny, actions: [publish, subscribe], topic: "a/#"}
  - {effect: allow, actions: [subscribe], topic: b, shared: only, shared_group: g}
- name: quiet
  rules: []
bindings:
- {role: pumps, device: "17"}
- {role: pumps, device_type: pump}
- {role: pumps, domain: north}
- {role: pumps, group: hall-1, not_before: "2027-03-01T12:00:00Z", not_after: "2027-03-01T13:00:00.500000Z"}
"""


def allow(topic: str, *actions: Action) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset(actions), topic=topic)


def test_document_reads_as_it_stands() -> None:
    found = from_yaml(NORTH)
    assert found.document == PolicyDocument(
        domain="north",
        quarantine_role="quiet",
        groups=(GroupSpec(name="Halle \u00e4"), GroupSpec(name="hall-1")),
        roles=(
            RoleSpec(
                name="pumps",
                description="What pumps do:\nreport.",
                rules=(
                    RuleSpec(
                        effect=Effect.ALLOW,
                        actions=frozenset({Action.PUBLISH}),
                        topic="${domain}/${client_id}/up/#",
                        qos=frozenset({0, 1}),
                        retain=Retain.NEVER,
                    ),
                    RuleSpec(effect=Effect.DENY, actions=frozenset(Action), topic="a/#"),
                    RuleSpec(
                        effect=Effect.ALLOW,
                        actions=frozenset({Action.SUBSCRIBE}),
                        topic="b",
                        shared=Shared.ONLY,
                        shared_group="g",
                    ),
                ),
            ),
            RoleSpec(name="quiet"),
        ),
        bindings=(
            BindingSpec(role="pumps", via=BindingVia.DEVICE, target="17"),
            BindingSpec(role="pumps", via=BindingVia.DEVICE_TYPE, target="pump"),
            BindingSpec(role="pumps", via=BindingVia.DOMAIN, target="north"),
            BindingSpec(
                role="pumps",
                via=BindingVia.GROUP,
                target="hall-1",
                window=Window(
                    not_before=datetime(2027, 3, 1, 12, tzinfo=UTC),
                    not_after=datetime(2027, 3, 1, 13, 0, 0, 500_000, tzinfo=UTC),
                ),
            ),
        ),
    )
    assert [found.lines[each] for each in found.document.bindings] == [17, 18, 19, 20]


def test_document_is_written_as_it_was_but_for_the_order_of_names() -> None:
    halls = ["- {name: hall-1}\n", '- {name: "Halle \u00e4"}\n']
    assert to_yaml(from_yaml(NORTH).document) == NORTH.replace("".join(halls), "".join(halls[::-1]))


def test_other_spelling_of_the_same_document_is_written_the_one_way() -> None:
    other = """
    # what pumps may
    bindings: [{group: h, "role": 'a'}]
    roles:
      - rules:
          - topic: x/${client_id}
            actions:
              - subscribe
              - publish
            effect: allow
        name: a
    groups: [{name: h}]
    quarantine_role: ~
    domain: "north"
    gatehouse_policy: 1
    """
    assert to_yaml(from_yaml(other).document) == (
        "gatehouse_policy: 1\ndomain: north\nquarantine_role: null\ngroups:\n- {name: h}\nroles:\n- name: a\n  rules:\n"
        '  - {effect: allow, actions: [publish, subscribe], topic: "x/${client_id}"}\n'
        "bindings:\n- {role: a, group: h}\n"
    )


def test_json_of_a_document_is_read_too() -> None:
    document = from_yaml(NORTH).document
    assert from_yaml(json.dumps(policy_json(document), ensure_ascii=False, indent=1)).document == document


def test_faults_are_told_with_their_lines() -> None:
    text = NORTH.replace("retain: never", "retian: never").replace("[publish, subscribe]", "[public]")
    with pytest.raises(InvalidPolicy) as caught:
        from_yaml(text)
    told = [(fault.pointer, fault.detail.split(":")[0]) for fault in caught.value.errors]
    assert told == [("/roles/0/rules/0/retian", "Line 11"), ("/roles/0/rules/1/actions/0", "Line 12")]


def test_faults_of_meaning_have_lines_too() -> None:
    with pytest.raises(InvalidPolicy) as caught:
        from_yaml(NORTH.replace("group: hall-1,", "group: hall-2,").replace('"a/#"', '"a#"'))
    assert [fault.detail.split(":")[0] for fault in caught.value.errors] == ["Line 12", "Line 20"]


@pytest.mark.parametrize(
    ("bound", "code"),
    [
        ('not_after: "2027-02-29T00:00:00Z"', "binding-window-moment"),
        ('not_after: "2027-02-28T00:00:00+01:00"', "invalid-value"),
        ('not_after: "2027-02-28"', "invalid-value"),
        ('not_after: "1999-12-31T00:00:00Z"', "invalid-value"),
        ('not_before: "2027-03-01T12:00:00Z", not_after: "2027-03-01T12:00:00Z"', "binding-window-empty"),
    ],
)
def test_windows_that_can_not_be_meant_are_told_with_their_lines(bound: str, code: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        from_yaml(NORTH.replace("device_type: pump}", f"device_type: pump, {bound}}}"))
    assert [(fault.code, fault.detail.split(":")[0]) for fault in caught.value.errors] == [(code, "Line 18")]


def test_a_binding_stands_once_whatever_its_window_is() -> None:
    with pytest.raises(InvalidPolicy) as caught:
        from_yaml(NORTH + "- {role: pumps, group: hall-1}\n")
    assert [(fault.code, fault.detail.split(":")[0]) for fault in caught.value.errors] == [("duplicate", "Line 21")]


def test_document_on_the_reference_page_is_written_as_it_stands() -> None:
    page = Path(__file__).parents[3] / "docs/reference/policy-document.md"
    example = page.read_text().split("```yaml\n")[1].split("```")[0]
    assert to_yaml(from_yaml(example).document) == example


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,5}", fullmatch=True) | st.sampled_from(
    ["no", "Yes", "null", "1", "007", "1e3", "0x1", "y", "1_0", "TRUE", "off", "2026-01-01", "1.5", "0o7"]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
TARGETS = st.text(min_size=1, max_size=6).filter(lambda text: name_fault(text) is None)


@st.composite
def rules(draw: st.DrawFn) -> RuleSpec:
    actions = draw(st.frozensets(st.sampled_from(list(Action)), min_size=1))
    shared = draw(st.sampled_from(list(Shared))) if Action.SUBSCRIBE in actions else Shared.ANY
    return RuleSpec(
        effect=draw(st.sampled_from(list(Effect))),
        actions=actions,
        topic=draw(TEXTS).replace("#", "").replace("+", "").replace("${", "") + "x/${client_id}/#",
        qos=draw(st.frozensets(st.sampled_from([0, 1, 2]), min_size=1) | st.just(EVERY_QOS)),
        retain=draw(st.sampled_from(list(Retain))) if Action.PUBLISH in actions else Retain.ANY,
        shared=shared,
        shared_group=draw(st.none() | TARGETS) if shared is Shared.ONLY else None,
    )


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
WINDOWS = st.sets(MOMENTS, min_size=2, max_size=2).flatmap(
    lambda two: st.builds(
        Window, not_before=st.sampled_from([None, min(two)]), not_after=st.sampled_from([None, max(two)])
    )
)


@st.composite
def documents(draw: st.DrawFn) -> PolicyDocument:
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    groups = draw(st.lists(TARGETS, unique=True, max_size=2))
    roles = [
        RoleSpec(name=name, description=draw(TEXTS), rules=tuple(draw(st.lists(rules(), unique=True, max_size=3))))
        for name in names
    ]
    targets = [st.tuples(st.sampled_from([BindingVia.DEVICE, BindingVia.DEVICE_TYPE]), TARGETS)]
    targets += [st.tuples(st.just(BindingVia.GROUP), st.sampled_from(groups))] if groups else []
    targets += [st.just((BindingVia.DOMAIN, "north"))]
    wanted = st.tuples(st.sampled_from(names), st.one_of(targets)) if names else st.nothing()
    bound = draw(st.lists(wanted, unique=True, max_size=3)) if names else []
    return PolicyDocument.of(
        domain="north",
        quarantine_role=draw(st.none() | st.sampled_from(names)) if names else None,
        groups=[GroupSpec(name=name) for name in groups],
        roles=roles,
        bindings=[
            BindingSpec(role=role, via=via, target=target, window=draw(WINDOWS)) for role, (via, target) in bound
        ],
    )


@settings(max_examples=80, deadline=None, derandomize=True)
@given(documents())
def test_every_document_comes_back_and_is_the_same_to_other_readers(document: PolicyDocument) -> None:
    text = to_yaml(document)
    assert from_yaml(text).document == document
    assert to_yaml(from_yaml(text).document) == text
    assert yaml.safe_load(text) == policy_json(document)  # PyYAML's own reader, which is written in Python
    Draft202012Validator(json.loads(schema_text())).validate(policy_json(document))
