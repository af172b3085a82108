"""The rules that one device has alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from acl.core.rules import InvalidRole, RuleSpec
from acl.core.values import Action, Effect
from acl.queries import find_role, list_roles
from acl.services import OwnRules, change_role, create_role, delete_role
from devices import queries, services
from devices.core.lifecycle import WrongState
from devices.core.policy_changes import ApprovalRule
from devices.core.policy_document import BindingVia
from devices.core.policy_json import InvalidPolicy
from devices.core.policy_own_rules import with_own_rules
from devices.core.policy_yaml import from_yaml, to_yaml
from devices.core.values import DeviceId
from devices.core.windows import Window
from devices.models import Device
from devices.queries import UnknownDevice, list_bindings
from devices.queries.device_rules import DeviceRules, device_rules
from devices.queries.policy import policy_document
from devices.queries.policy_findings import PolicyFindings
from devices.services import policy_changes
from devices.services.bindings import BindingTarget
from devices.services.device_rules import DeviceRulesChanged, set_device_rules
from devices.services.import_policy import import_policy
from devices.services.policy_changes.drafting import UnknownBindingTarget
from devices.services.policy_gate import ApprovalRequired
from kernel.core.ids import new_id
from kernel.core.journal import Break
from kernel.queries import list_entries, verify_journal
from pki.core.values import ReasonCode
from tests.cast import ADA
from tests.devices.factory import DOWN, UP, Factory

HOSTILE = [
    "pump 17",
    "pump\"'\\;--",
    "泵-17",
    "@pump",
    "...",
    "{role}: [x]",
    "a" * 64,
    "no",
    "&x *y",
    "%u ${client_id}",
]
ALARM = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="alarm/${client_id}")


def given(factory: Factory, device: DeviceId, *rules: RuleSpec, **more: Any) -> DeviceRules:
    return set_device_rules(device=device, rules=rules, actor=ADA, now=factory.now, **more)


def rules_of(factory: Factory, device: DeviceId) -> list[tuple[str, str, str]]:
    """What holds for the device: each rule with its role and what it was given to."""
    subject = queries.subject_of(device=device, now=factory.now)
    found = [(bound.rule.topic, bound.role_name, bound.binding) for bound in subject.policy]
    return [(topic, role, f"{ref.via} {ref.target}" if ref else "") for topic, role, ref in found]


def test_they_hold_for_the_device_beside_its_roles_and_for_no_other(north: Factory) -> None:
    device, other = north.device("pump-17"), north.device("pump-18")
    role = north.role("pumps", UP)
    services.bind_role(
        domain=north.domain, role=role.id, target=BindingTarget(domain="north"), actor=ADA, now=north.now
    )
    assert [rule.topic for rule in given(north, device, ALARM).rules] == ["alarm/${client_id}"]
    everybody = (UP.topic, "pumps", "domain north")
    assert sorted(rules_of(north, device)) == [everybody, ("alarm/${client_id}", "@pump-17", "device pump-17")]
    assert rules_of(north, other) == [everybody]


def test_the_last_rule_taken_away_leaves_nothing_behind(north: Factory) -> None:
    device = north.device()
    given(north, device, ALARM, DOWN)
    assert given(north, device) == DeviceRules(role=None)
    assert given(north, device) == DeviceRules(role=None)
    assert list_roles(domains=[north.domain]) == []
    assert list_bindings(domains=[north.domain]) == []
    assert rules_of(north, device) == []


def test_the_journal_has_each_write_and_repeating_one_writes_nothing(north: Factory) -> None:
    device = north.device()
    for _ in range(2):
        given(north, device, ALARM)
    given(north, device)
    found = [entry.action for entry in list_entries(domain=north.domain, limit=5)]
    assert found == [
        "acl.role.deleted",
        "devices.binding.removed",
        "devices.binding.created",
        "acl.role.created",
        "devices.device.enrolled",
    ]
    assert not any(isinstance(found, Break) for found in verify_journal())


def test_who_writes_has_to_have_seen_what_is_there(north: Factory) -> None:
    device = north.device()
    nothing = device_rules(domain=north.domain, name="pump-17").digest
    first = given(north, device, ALARM, expected_digest=nothing)
    with pytest.raises(DeviceRulesChanged):
        given(north, device, DOWN, expected_digest=nothing)
    second = given(north, device, DOWN, expected_digest=first.digest)
    given(north, device)
    with pytest.raises(DeviceRulesChanged):
        given(north, device, UP, expected_digest=second.digest)
    given(north, device, DOWN)
    assert given(north, device, UP, expected_digest=second.digest).rules[0].topic == UP.topic


def test_a_fault_is_told_and_changes_nothing(north: Factory) -> None:
    device = north.device()
    given(north, device, ALARM)
    with pytest.raises(InvalidRole) as caught:
        given(north, device, UP, replace(ALARM, topic="a/#/b"))
    assert [fault.pointer for fault in caught.value.errors] == ["/rules/1/topic"]
    assert [rule.topic for rule in device_rules(domain=north.domain, name="pump-17").rules] == [ALARM.topic]
    with pytest.raises(UnknownDevice):
        given(north, DeviceId(new_id()), ALARM)


def test_nobody_else_can_be_given_them(north: Factory) -> None:
    device, other = north.device("pump-17"), north.device("pump-18")
    role = given(north, device, ALARM).role
    assert role is not None
    services.create_group(domain=north.domain, name="pump-17", actor=ADA, now=north.now)
    for target in (
        BindingTarget(device=other),
        BindingTarget(domain="north"),
        BindingTarget(group="pump-17"),
        BindingTarget(device_type="pump"),
    ):
        with pytest.raises(OwnRules):
            services.bind_role(domain=north.domain, role=role.id, target=target, actor=ADA, now=north.now)
    with pytest.raises(OwnRules):
        services.set_quarantine_role(domain=north.domain, role=role.id, actor=ADA, now=north.now)
    assert rules_of(north, other) == []


def test_they_are_no_role_that_is_made_changed_renamed_deleted_or_unbound_like_one(north: Factory) -> None:
    device = north.device()
    who: dict[str, Any] = {"actor": ADA, "now": north.now}
    role = given(north, device, ALARM).role
    assert role is not None
    plain = north.role("pumps", UP)
    [binding] = list_bindings(domains=[north.domain])
    with pytest.raises(OwnRules):
        create_role(domain=north.domain, name="@pump-18", rules=[UP], **who)
    with pytest.raises(OwnRules):
        change_role(role=role.id, rules=[UP], **who)
    with pytest.raises(OwnRules):
        change_role(role=role.id, name="all", rules=[ALARM], **who)
    with pytest.raises(OwnRules):
        change_role(role=plain.id, name="@pump-18", rules=[UP], **who)
    with pytest.raises(OwnRules):
        delete_role(role=role.id, **who)
    with pytest.raises(OwnRules):
        services.unbind_role(binding=binding.id, **who)
    ends = Window(not_after=north.now + timedelta(days=1))
    with pytest.raises(OwnRules):
        services.change_binding(binding=binding.id, window=ends, **who)
    assert rules_of(north, device) == [(ALARM.topic, "@pump-17", "device pump-17")]


def test_a_device_that_is_thrown_out_keeps_them_without_effect_and_gets_no_more(north: Factory) -> None:
    device = north.device()
    given(north, device, ALARM)
    services.revoke_device(device=device, reason=ReasonCode.UNSPECIFIED, actor=ADA, now=north.now)
    assert rules_of(north, device) == []
    with pytest.raises(WrongState):
        given(north, device, ALARM, DOWN)
    services.decommission_device(device=device, actor=ADA, now=north.now)
    with pytest.raises(WrongState):
        given(north, device, ALARM, DOWN)
    assert given(north, device) == DeviceRules(role=None)


def test_a_quarantined_device_has_them_again_when_it_is_let_back(north: Factory) -> None:
    device = north.device()
    given(north, device, ALARM)
    services.quarantine_device(device=device, actor=ADA, now=north.now)
    assert rules_of(north, device) == []
    services.resume_device(device=device, actor=ADA, now=north.now)
    assert len(rules_of(north, device)) == 1


def test_a_new_device_that_may_be_refused_gets_none_and_a_registered_one_does(north: Factory) -> None:
    waiting = north.wait("pump-18")
    with pytest.raises(OwnRules):
        given(north, DeviceId(Device.objects.get(name="pump-18").id), ALARM)
    services.deny_request(request=waiting.request, actor=ADA, now=north.now)
    assert find_role(domain=north.domain, name="@pump-18") is None
    ahead = north.register("pump-19")
    given(north, ahead.id, ALARM)
    north.enroll("pump-19")
    assert rules_of(north, ahead.id) == [(ALARM.topic, "@pump-19", "device pump-19")]


def test_where_policy_is_approved_a_change_carries_them(north: Factory) -> None:
    device = north.device()
    base = policy_document(domain=north.domain)
    policy_changes.set_policy_approval(domain=north.domain, rule=ApprovalRule.OTHER_OPERATOR, actor=ADA, now=north.now)
    with pytest.raises(ApprovalRequired):
        given(north, device, ALARM)
    document = with_own_rules(base, "pump-17", [ALARM])
    change = policy_changes.draft_change(
        domain=north.domain, title="An alarm", document=document, actor=ADA, now=north.now
    )
    assert rules_of(north, device) == []
    assert change.document == document
    with pytest.raises(ApprovalRequired):
        given(north, device)


def test_a_change_gives_alters_and_takes_them_and_is_rolled_back(north: Factory) -> None:
    device = north.device()
    seen: list[list[str]] = [[]]
    for wanted in ([ALARM], [ALARM, DOWN], []):
        document = with_own_rules(policy_document(domain=north.domain), "pump-17", wanted)
        done = import_policy(
            domain=north.domain, document=document, title="Own rules", apply=True, actor=ADA, now=north.now
        )
        seen.append([topic for topic, *_ in rules_of(north, device)])
    assert seen == [[], [ALARM.topic], [ALARM.topic, DOWN.topic], []]
    assert done.change is not None
    back = policy_changes.roll_back_change(change=done.change.id, actor=ADA, now=north.now)
    policy_changes.approve_change(change=back.id, actor=ADA, now=north.now)
    policy_changes.apply_change(change=back.id, actor=ADA, now=north.now)
    assert [rule.topic for rule in device_rules(domain=north.domain, name="pump-17").rules] == [ALARM.topic, DOWN.topic]
    assert not any(isinstance(found, Break) for found in verify_journal())


def test_any_name_of_a_device_goes_to_yaml_and_back(north: Factory) -> None:
    for name in HOSTILE:
        given(north, north.register(name).id, ALARM)
    document = policy_document(domain=north.domain)
    assert from_yaml(to_yaml(document)).document == document
    assert {(each.role, each.via, each.target) for each in document.bindings} == {
        (f"@{name}", BindingVia.DEVICE, name) for name in HOSTILE
    }
    for name in HOSTILE:
        given(north, DeviceId(Device.objects.get(name=name).id))
    assert policy_document(domain=north.domain).roles == ()
    import_policy(domain=north.domain, document=document, title="Back", apply=True, actor=ADA, now=north.now)
    assert policy_document(domain=north.domain) == document


def test_a_document_that_gives_them_to_anything_else_is_refused(north: Factory) -> None:
    for name in ("pump-17", "pump-18"):
        north.register(name)
    services.create_group(domain=north.domain, name="g", actor=ADA, now=north.now)
    sound = to_yaml(with_own_rules(policy_document(domain=north.domain), "pump-17", [ALARM]))
    binding = '{role: "@pump-17", device: pump-17}'
    assert binding in sound
    for wrong, places in (
        (sound.replace(binding, '{role: "@pump-17", device: pump-18}'), ["/bindings/0", "/roles/0"]),
        (sound.replace(binding, '{role: "@pump-17", group: g}'), ["/bindings/0", "/roles/0"]),
        (sound.replace(binding, '{role: "@pump-17", device_type: pump}'), ["/bindings/0", "/roles/0"]),
        (sound.replace(binding, '{role: "@pump-17", domain: north}'), ["/bindings/0", "/roles/0"]),
        (sound.replace(binding, f'{binding}\n- {{role: "@pump-17", domain: north}}'), ["/bindings/1"]),
        (sound.replace(binding, f'{binding[:-1]}, not_after: "2099-01-01T00:00:00Z"}}'), ["/bindings/0"]),
        (sound.replace("quarantine_role: null", 'quarantine_role: "@pump-17"'), ["/quarantine_role"]),
        (sound.replace("@pump-17", "@pump-18"), ["/bindings/0", "/roles/0"]),
    ):
        assert wrong != sound
        with pytest.raises(InvalidPolicy) as caught:
            from_yaml(wrong)
        assert [fault.pointer for fault in caught.value.errors] == places
        assert {fault.code for fault in caught.value.errors} == {"own-rules"}


def test_own_rules_of_a_device_that_there_is_not_are_refused(north: Factory) -> None:
    document = with_own_rules(policy_document(domain=north.domain), "pump-99", [ALARM])
    with pytest.raises(UnknownBindingTarget):
        import_policy(domain=north.domain, document=document, title="x", actor=ADA, now=north.now)


def test_a_topic_of_one_device_is_no_finding_and_one_that_reaches_all_is_the_devices(north: Factory) -> None:
    device = north.device()
    given(north, device, replace(ALARM, topic="north/hall/alarm"))
    findings = PolicyFindings()
    assert list(findings.find(domains=None, now=north.now)) == []
    given(north, device, replace(ALARM, topic="#"))
    [found] = findings.find(domains=None, now=north.now)
    assert (found.code, found.subject.label) == ("rule-allows-everything", "own rules of pump-17")
