"""A change that comes in waves: who has which policy, and that nobody gets past it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.services import change_role, create_role
from devices import queries, services
from devices.core.policy_changes import ApprovalRule, ChangeState, PolicyChange
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.rollouts import (
    BadWaves,
    Gate,
    Measured,
    Rollout,
    RolloutId,
    RolloutState,
    Split,
    Waves,
    percentile,
    waves_of,
)
from devices.core.values import DeviceId, DeviceState, GroupId
from devices.core.windows import Window
from devices.models import Device, Group
from devices.queries.policy import policy_document
from devices.queries.policy_changes import get_change
from devices.queries.rollouts import RolloutNotFound, get_rollout, in_present_wave
from devices.services import policy_changes, rollouts
from devices.services.bindings import BindingTarget
from devices.services.device_rules import set_device_rules
from devices.services.policy_changes.applying import ApprovalsMissing
from devices.services.policy_changes.rows import WrongChangeState
from devices.services.policy_gate import RolloutUnderWay
from devices.services.rollouts import NotInWaves, RolloutMoved, WrongRolloutState
from kernel.core.ids import new_id
from kernel.queries import list_entries
from tests.cast import ADA, BO, NORTH
from tests.devices.factory import DOWN, UP, Factory
from tests.devices.services.test_policy_changes import approvers

NEW = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="${domain}/new")
HERE, THERE = UUID(int=1), UUID(int=2)
"""Ids of brokers; `devices` knows no more of them."""
BY_GROUP = waves_of(Split.GROUP, [["pilot"]])


class Story:
    """Role `pumps` for every pump; the change lets them publish to `north/new` instead of hearing anything."""

    def __init__(self, factory: Factory) -> None:
        self.now = factory.now
        self.pilot, self.other = (factory.register(name).id for name in ("pump-1", "pump-2"))
        Device.objects.update(state=DeviceState.ACTIVE)
        self.role = factory.role("pumps")
        services.bind_role(
            domain=NORTH, role=self.role.id, target=BindingTarget(device_type="pump"), actor=ADA, now=self.now
        )
        services.create_group(domain=NORTH, name="pilot", members=[self.pilot], actor=ADA, now=self.now)
        self.group = GroupId(Group.objects.get(name="pilot").id)
        self.before = policy_document(domain=NORTH)
        self.after = replace(self.before, roles=(RoleSpec(name="pumps", rules=(UP, NEW)),))

    def approved(self, document: PolicyDocument | None = None) -> PolicyChange:
        change = policy_changes.draft_change(
            domain=NORTH, title="New", document=document or self.after, actor=ADA, now=self.now
        )
        return policy_changes.approve_change(change=change.id, actor=ADA, now=self.now)

    def started(self, waves: Waves = BY_GROUP, document: PolicyDocument | None = None) -> Rollout:
        change = self.approved(document)
        return rollouts.start_rollout(change=change.id, waves=waves, gate=Gate(), actor=ADA, now=self.now)

    def topics(self, device: DeviceId, broker: UUID | None = None) -> set[str]:
        subject = queries.subject_of(device=device, broker=broker, now=self.now)
        [same] = queries.subjects_among(devices=[device], broker=broker, now=self.now)
        assert same.policy == subject.policy
        return {bound.rule.topic.removeprefix("${domain}/${client_id}/") for bound in subject.policy}


OLD_TOPICS, NEW_TOPICS = {"up/#", "down/#"}, {"up/#", "${domain}/new"}


@pytest.fixture
def story(north: Factory) -> Story:
    return Story(north)


def test_a_wave_has_the_new_policy_and_everybody_else_the_one_before(story: Story) -> None:
    rollout = story.started()
    assert (story.topics(story.pilot), story.topics(story.other)) == (NEW_TOPICS, OLD_TOPICS)
    names = {
        subject.device.name: {bound.role_name for bound in subject.policy}
        for subject in queries.iterate_subjects(domain=NORTH, now=story.now)
    }
    assert names == {"pump-1": {"pumps@1"}, "pump-2": {"pumps"}}, "so that no broker mixes the two"
    [before] = queries.subjects_among(devices=[story.pilot], now=story.now, before_rollout=True)
    assert {bound.role_name for bound in before.policy} == {"pumps"}
    assert in_present_wave(rollout=rollout, devices=[story.pilot, story.other]) == {story.pilot}

    last = rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    assert last.is_in_last_wave
    assert story.topics(story.other) == NEW_TOPICS
    assert in_present_wave(rollout=last, devices=[story.pilot, story.other]) == {story.other}
    assert policy_document(domain=NORTH) == story.before, "the tables change at the end"

    done = rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    assert (done.state, get_change(change=done.change).state) == (RolloutState.DONE, ChangeState.APPLIED)
    assert policy_document(domain=NORTH) == story.after
    assert [entry.action for entry in list_entries(limit=50)][::-1][-5:] == [
        "devices.rollout.started",
        "devices.rollout.advanced",
        "acl.role.changed",
        "devices.policy_change.applied",
        "devices.rollout.finished",
    ]


def test_each_wave_needs_the_approvals_that_the_first_one_had(
    story: Story, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GATEHOUSE_POLICY_APPROVERS = "tests.devices.services.test_policy_changes.approvers"
    monkeypatch.setattr(approvers, "gone", frozenset())
    rule = ApprovalRule.OTHER_OPERATOR
    policy_changes.set_policy_approval(domain=NORTH, rule=rule, actor=ADA, now=story.now)
    change = policy_changes.draft_change(domain=NORTH, title="New", document=story.after, actor=ADA, now=story.now)
    policy_changes.approve_change(change=change.id, actor=BO, now=story.now)
    rollout = rollouts.start_rollout(change=change.id, waves=BY_GROUP, gate=Gate(), actor=ADA, now=story.now)

    monkeypatch.setattr(approvers, "gone", frozenset({BO.id}))
    with pytest.raises(ApprovalsMissing, match="needs 1 more approval"):
        rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    assert (story.topics(story.pilot), story.topics(story.other)) == (NEW_TOPICS, OLD_TOPICS)

    monkeypatch.setattr(approvers, "gone", frozenset())
    rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    monkeypatch.setattr(approvers, "gone", frozenset({BO.id}))
    with pytest.raises(ApprovalsMissing):
        rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    assert policy_document(domain=NORTH) == story.before


def test_rolled_back_nobody_has_the_new_policy_and_the_change_needs_approval_again(story: Story) -> None:
    rollout = story.started()
    rollouts.pause_rollout(rollout=rollout.id, actor=BO, now=story.now)
    for _ in range(2):
        back = rollouts.roll_back_rollout(rollout=rollout.id, note="No.", actor=ADA, now=story.now)
        assert (back.state, back.note, back.version) == (RolloutState.ROLLED_BACK, "No.", 3)
    assert {*story.topics(story.pilot)} == {*story.topics(story.other)} == OLD_TOPICS
    change = get_change(change=rollout.change)
    assert (change.state, change.approvals, policy_document(domain=NORTH)) == (ChangeState.DRAFT, (), story.before)
    with pytest.raises(WrongRolloutState):
        rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    again = policy_changes.approve_change(change=change.id, actor=ADA, now=story.now)
    rollouts.start_rollout(change=again.id, waves=BY_GROUP, gate=Gate(), actor=ADA, now=story.now)
    assert story.topics(story.pilot) == NEW_TOPICS


def test_waves_of_brokers_hold_for_each_broker_and_percentages_for_each_device(story: Story) -> None:
    rollout = story.started(waves_of(Split.BROKER, [[str(HERE)]]))
    for device in (story.pilot, story.other):
        assert [story.topics(device, broker) for broker in (HERE, THERE, None)] == [NEW_TOPICS, OLD_TOPICS, OLD_TOPICS]
    [bound, _] = queries.subject_of(device=story.pilot, broker=HERE, now=story.now).policy
    assert bound.role_name == "pumps"
    rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    assert story.topics(story.pilot, THERE) == story.topics(story.pilot) == NEW_TOPICS
    rollouts.roll_back_rollout(rollout=rollout.id, actor=ADA, now=story.now)

    lower, higher = sorted((story.pilot, story.other), key=percentile)
    share = max(1, percentile(higher))
    rollout = story.started(waves_of(Split.PERCENTAGE, [[str(share)]]))
    expected = {device for device in (lower, higher) if percentile(device) < share}
    assert {device for device in (lower, higher) if story.topics(device) == NEW_TOPICS} == expected
    assert in_present_wave(rollout=rollout, devices=[lower, higher]) == expected


def test_states_of_devices_and_memberships_count_as_ever(story: Story) -> None:
    story.started()
    services.suspend_device(device=story.pilot, note="", actor=ADA, now=story.now)
    assert story.topics(story.pilot) == set()
    services.resume_device(device=story.pilot, note="", actor=ADA, now=story.now)
    services.remove_from_group(group=story.group, devices=[story.pilot], actor=ADA, now=story.now)
    services.add_to_group(group=story.group, devices=[story.other], actor=ADA, now=story.now)
    assert (story.topics(story.pilot), story.topics(story.other)) == (OLD_TOPICS, NEW_TOPICS)


def test_nobody_else_writes_policy_until_it_is_over(story: Story) -> None:
    other = story.approved(replace(story.before, roles=(RoleSpec(name="pumps", rules=(DOWN,)),)))
    rollout = story.started()
    with pytest.raises(RolloutUnderWay):
        policy_changes.apply_change(change=other.id, actor=ADA, now=story.now)
    with pytest.raises(RolloutUnderWay):
        rollouts.start_rollout(change=other.id, waves=BY_GROUP, gate=Gate(), actor=ADA, now=story.now)
    with pytest.raises(RolloutUnderWay):
        change_role(role=story.role.id, rules=[UP], actor=ADA, now=story.now)
    with pytest.raises(RolloutUnderWay):
        create_role(domain=NORTH, name="more", rules=[UP], actor=ADA, now=story.now)
    with pytest.raises(RolloutUnderWay):
        set_device_rules(device=story.other, rules=[UP], actor=ADA, now=story.now)
    with pytest.raises(RolloutUnderWay):
        services.set_quarantine_role(domain=NORTH, role=story.role.id, actor=ADA, now=story.now)
    for act in (policy_changes.apply_change, policy_changes.withdraw_change, policy_changes.rewrite_change):
        with pytest.raises(WrongChangeState):
            act(change=rollout.change, actor=ADA, now=story.now)
    rollouts.roll_back_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    policy_changes.apply_change(change=other.id, actor=ADA, now=story.now)


def test_who_acts_on_what_is_no_more_is_told_so(story: Story) -> None:
    rollout = story.started()
    rollouts.pause_rollout(rollout=rollout.id, expected_version=rollout.version, actor=ADA, now=story.now)
    for act in (
        rollouts.pause_rollout,
        rollouts.resume_rollout,
        rollouts.advance_rollout,
        rollouts.roll_back_rollout,
    ):
        with pytest.raises(RolloutMoved):
            act(rollout=rollout.id, expected_version=rollout.version, actor=BO, now=story.now)
    paused = get_rollout(rollout=rollout.id)
    with pytest.raises(WrongRolloutState):
        rollouts.note_measured(rollout=paused.id, version=paused.version, measured=Measured())
    again = rollouts.pause_rollout(rollout=paused.id, actor=ADA, now=story.now)
    assert again.version == paused.version, "once is enough"
    with pytest.raises(RolloutNotFound):
        rollouts.pause_rollout(rollout=RolloutId(new_id()), actor=ADA, now=story.now)


def test_a_resumed_wave_is_watched_anew(story: Story) -> None:
    rollout = story.started()
    rollouts.note_obeyed(rollout=rollout.id, version=rollout.version, heard={"x": 3}, now=story.now)
    obeyed = get_rollout(rollout=rollout.id)
    rollouts.note_measured(rollout=rollout.id, version=obeyed.version, measured=Measured(seen=2, refused=1))
    assert get_rollout(rollout=rollout.id).version == obeyed.version
    rollouts.pause_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    later = story.now + timedelta(minutes=5)
    resumed = rollouts.resume_rollout(rollout=rollout.id, actor=ADA, now=later)
    [record] = resumed.records
    assert (record.entered_at, record.obeyed_at, record.measured, resumed.heard) == (later, None, None, {})
    assert resumed.seq == rollout.seq, "the brokers have it already"
    assert rollouts.resume_rollout(rollout=rollout.id, actor=ADA, now=later) == resumed


def test_what_can_not_come_in_waves_is_refused_before_anything_is_done(story: Story) -> None:
    window = Window(not_after=story.now + timedelta(days=1))
    binding = BindingSpec(role="pumps", via=BindingVia.DEVICE, target="pump-1", window=window)
    timed = story.approved(replace(story.before, bindings=(*story.before.bindings, binding)))
    with pytest.raises(NotInWaves):
        rollouts.start_rollout(change=timed.id, waves=BY_GROUP, gate=Gate(), actor=ADA, now=story.now)
    change = story.approved()
    with pytest.raises(BadWaves, match="no group 'nobody'"):
        rollouts.start_rollout(
            change=change.id, waves=waves_of(Split.GROUP, [["nobody"]]), gate=Gate(), actor=ADA, now=story.now
        )
    assert get_change(change=change.id).state is ChangeState.APPROVED
    draft = policy_changes.draft_change(domain=NORTH, title="D", document=story.after, actor=ADA, now=story.now)
    with pytest.raises(WrongChangeState):
        rollouts.start_rollout(change=draft.id, waves=BY_GROUP, gate=Gate(), actor=ADA, now=story.now)


def test_a_rollout_that_fails_half_way_is_where_it_was(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = story.started()
    rollouts.advance_rollout(rollout=rollout.id, actor=ADA, now=story.now)
    before = get_rollout(rollout=rollout.id)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(rollouts, "_record", crash)
        for act in (rollouts.advance_rollout, rollouts.roll_back_rollout, rollouts.pause_rollout):
            with pytest.raises(RuntimeError):
                act(rollout=rollout.id, actor=ADA, now=story.now)
            assert get_rollout(rollout=rollout.id) == before
            assert get_change(change=rollout.change).state is ChangeState.ROLLING_OUT
    assert policy_document(domain=NORTH) == story.before
    assert story.topics(story.other) == NEW_TOPICS
