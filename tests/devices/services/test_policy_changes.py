"""A change of policy from draft to history."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from acl import queries as roles
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Role
from acl.services import change_role, create_role, delete_role
from devices import queries, services
from devices.core.policy_changes import IN_HISTORY, ApprovalRule, ChangeState, PolicyChange
from devices.core.policy_document import BindingSpec, BindingVia, GroupSpec, PolicyDocument, RoleSpec, differences
from devices.core.policy_editing import with_role
from devices.core.policy_json import InvalidPolicy
from devices.core.policy_merge import Decisions, Side
from devices.models import Device
from devices.models import PolicyChange as Row
from devices.queries import policy_changes as changes
from devices.queries.policy import policy_document
from devices.services import policy_changes
from devices.services.bindings import BindingTarget
from devices.services.policy_changes.applying import ApprovalsMissing, TargetGone
from devices.services.policy_changes.approving import ApprovalDenied, BaseMoved, NothingToChange
from devices.services.policy_changes.asking_for_approval import OwnersOnly
from devices.services.policy_changes.drafting import BadTitle, UnknownBindingTarget
from devices.services.policy_changes.rebasing import RebaseConflict
from devices.services.policy_changes.rows import ChangeMoved, OtherDomain, WrongChangeState
from devices.services.policy_gate import ApprovalRequired
from kernel.core.actor import Actor, ActorKind
from kernel.core.errors import Invalid
from kernel.core.ids import DomainId
from kernel.queries import list_entries, verify_journal
from tests.cast import ADA, BO, CY, NORTH
from tests.devices.factory import DOWN, UP, Factory

STOP = RuleSpec(effect=Effect.DENY, actions=frozenset({Action.PUBLISH}), topic="${domain}/stop")
WIDE = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/all/#")
MILL = Actor(kind=ActorKind.APPLICATION, id="mill-client", label="mill")
SHELL = Actor(kind=ActorKind.OPERATOR, id="command:root", label="root (command line)")


class EveryOperator:
    """Approvers for tests without operators: all but those who are `gone`."""

    gone: frozenset[str] = frozenset()

    def who_may_approve(self, domain: DomainId, *, among: Collection[str]) -> frozenset[str]:
        assert domain == NORTH
        return frozenset(among) - self.gone


approvers = EveryOperator()


@pytest.fixture(autouse=True)
def _operators(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.GATEHOUSE_POLICY_APPROVERS = f"{__name__}.approvers"
    monkeypatch.setattr(approvers, "gone", frozenset())


class Story:
    """Domain north with the role `pumps`, given to the type pump, and what can be done to its policy."""

    def __init__(self, factory: Factory) -> None:
        self.factory, self.now = factory, factory.now
        self.pumps: Role = factory.role("pumps")
        target = BindingTarget(device_type="pump")
        services.bind_role(domain=NORTH, role=self.pumps.id, target=target, actor=ADA, now=self.now)

    def policy(self) -> PolicyDocument:
        return policy_document(domain=NORTH)

    def four_eyes(self) -> None:
        rule = ApprovalRule.OTHER_OPERATOR
        policy_changes.set_policy_approval(domain=NORTH, rule=rule, actor=ADA, now=self.now)

    def with_rules(self, *rules: RuleSpec, of: str = "pumps") -> PolicyDocument:
        policy = self.policy()
        kept = [role for role in policy.roles if role.name != of]
        return replace(policy, roles=tuple(sorted([*kept, RoleSpec(name=of, rules=rules)], key=lambda r: r.name)))

    def draft(self, document: PolicyDocument | None = None, *, by: Actor = ADA) -> PolicyChange:
        wanted = document or self.with_rules(UP, DOWN, STOP)
        return policy_changes.draft_change(domain=NORTH, title="Stop", document=wanted, actor=by, now=self.now)

    def do(self, act: Callable[..., Any], change: PolicyChange, *, by: Actor = ADA, **more: Any) -> Any:
        return act(change=change.id, actor=by, now=self.now, **more)

    def applied(self, document: PolicyDocument | None = None) -> PolicyChange:
        change = self.draft(document)
        self.do(policy_changes.approve_change, change)
        return self.do(policy_changes.apply_change, change).change  # type: ignore[no-any-return]

    def rules(self, name: str = "pumps") -> list[RuleSpec]:
        role = roles.find_role(domain=NORTH, name=name)
        assert role is not None
        return [RuleSpec.of(rule) for rule in role.rules]

    def edit(self, *rules: RuleSpec) -> None:
        change_role(role=self.pumps.id, rules=rules, actor=BO, now=self.now)


@pytest.fixture
def story(north: Factory) -> Story:
    return Story(north)


def actions(count: int) -> list[str]:
    return [entry.action for entry in list_entries(limit=count)][::-1]


def test_draft_changes_nothing_until_it_is_applied(story: Story) -> None:
    before = story.policy()
    change = story.draft()
    assert (change.state, change.number, change.version, change.base) == (ChangeState.DRAFT, 1, 1, before)
    story.do(policy_changes.approve_change, change)
    assert story.policy() == before


def test_applied_change_is_in_force_as_a_whole(story: Story) -> None:
    policy = story.policy()
    gates = RoleSpec(name="gates", description="of the yard", rules=(WIDE,))
    bindings = [BindingSpec(role="gates", via=BindingVia.DOMAIN, target="north")]
    wanted = PolicyDocument.of(domain="north", quarantine_role="gates", roles=[gates], bindings=bindings)
    change = story.applied(wanted)
    assert change.state is ChangeState.APPLIED
    assert differences(story.policy(), wanted).is_empty
    assert (change.base, change.document) == (policy, wanted)
    assert roles.find_role(domain=NORTH, name="pumps") is None


def test_each_part_has_its_entry_and_the_change_has_the_last(story: Story) -> None:
    gates = RoleSpec(name="gates", rules=(WIDE,))
    policy = story.with_rules(UP)
    wanted = PolicyDocument.of(
        domain="north",
        roles=[*policy.roles, gates],
        bindings=[BindingSpec(role="gates", via=BindingVia.DOMAIN, target="north")],
    )
    change = story.applied(wanted)
    assert actions(5) == [
        "devices.binding.removed",
        "acl.role.created",
        "acl.role.changed",
        "devices.binding.created",
        "devices.policy_change.applied",
    ]
    entries = list_entries(limit=5)
    assert {entry.after["change"] for entry in entries[1:]} == {str(change.id)}
    assert entries[0].after["roles_changed"] == ["pumps"]
    assert entries[0].after["approved_by"] == ["ada"]
    assert {type(each).__name__ for each in verify_journal()} == {"Entry"}


def test_rules_that_stay_keep_their_ids(story: Story) -> None:
    story.applied()
    after = roles.get_role(id=story.pumps.id)
    assert after.rules[:2] == story.pumps.rules


def test_devices_and_groups_are_bound_by_name_and_a_new_group_is_made(story: Story) -> None:
    device = story.factory.register("pump-1")
    bindings = (
        BindingSpec(role="pumps", via=BindingVia.DEVICE, target="pump-1"),
        BindingSpec(role="pumps", via=BindingVia.GROUP, target="hall"),
    )
    story.applied(replace(story.policy(), bindings=bindings, groups=(GroupSpec(name="hall"),)))
    found = {(row.via, row.target, row.target_id) for row in queries.list_bindings(domains=[NORTH])}
    [hall] = queries.list_groups(domains=[NORTH])
    assert found == {("device", "pump-1", str(device.id)), ("group", "hall", str(hall.id))}
    assert hall.member_count == 0


@pytest.mark.parametrize("via", [BindingVia.DEVICE, BindingVia.DEVICE_TYPE])
def test_binding_to_what_is_not_there_is_refused_when_it_is_drafted(story: Story, via: BindingVia) -> None:
    wanted = replace(story.policy(), bindings=(BindingSpec(role="pumps", via=via, target="ghost"),))
    with pytest.raises(UnknownBindingTarget) as caught:
        story.draft(wanted)
    assert caught.value.errors[0].pointer == "/bindings/0"


def test_document_of_another_domain_is_refused(story: Story) -> None:
    with pytest.raises(OtherDomain):
        story.draft(PolicyDocument.of(domain="south"))


def test_unsound_document_is_refused(story: Story) -> None:
    with pytest.raises(InvalidPolicy):
        story.draft(replace(story.policy(), quarantine_role="ghost"))


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
def test_change_needs_a_title(story: Story, title: str) -> None:
    with pytest.raises(BadTitle):
        policy_changes.draft_change(domain=NORTH, title=title, actor=ADA, now=story.now)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800"])
def test_text_that_no_database_keeps_is_refused(story: Story, text: str) -> None:
    change = story.draft()
    with pytest.raises(Invalid):
        story.do(policy_changes.rewrite_change, change, title=text)
    described = RoleSpec(name="gates", description=text, rules=(UP,))
    with pytest.raises(Invalid):
        story.draft(with_role(story.policy(), described))
    with pytest.raises(Invalid):
        story.do(policy_changes.reject_change, change, note=text)


def test_draft_that_changes_nothing_is_not_approved(story: Story) -> None:
    change = story.draft(story.policy())
    with pytest.raises(NothingToChange):
        story.do(policy_changes.approve_change, change)


def test_draft_is_not_applied(story: Story) -> None:
    with pytest.raises(WrongChangeState):
        story.do(policy_changes.apply_change, story.draft())


def test_change_is_applied_once(story: Story) -> None:
    change = story.applied()
    with pytest.raises(WrongChangeState):
        story.do(policy_changes.apply_change, change)
    assert actions(1) == ["devices.policy_change.applied"]


def test_two_who_write_one_draft_meet_the_version(story: Story) -> None:
    change = story.draft()
    story.do(policy_changes.rewrite_change, change, document=story.with_rules(UP), expected_version=1)
    with pytest.raises(ChangeMoved):
        story.do(policy_changes.rewrite_change, change, document=story.with_rules(DOWN), expected_version=1)
    assert changes.get_change(change=change.id).document == story.with_rules(UP)


def test_approval_is_of_the_version_that_was_read(story: Story) -> None:
    change = story.draft()
    story.do(policy_changes.rewrite_change, change, document=story.with_rules(WIDE))
    with pytest.raises(ChangeMoved):
        story.do(policy_changes.approve_change, change, expected_version=1)


def test_writing_takes_the_approval_away(story: Story) -> None:
    change = story.draft()
    story.do(policy_changes.approve_change, change)
    written = story.do(policy_changes.rewrite_change, change, document=story.with_rules(WIDE))
    assert (written.state, written.approvals) == (ChangeState.DRAFT, ())
    with pytest.raises(WrongChangeState):
        story.do(policy_changes.apply_change, change)


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (policy_changes.reject_change, ChangeState.REJECTED),
        (policy_changes.withdraw_change, ChangeState.WITHDRAWN),
    ],
)
def test_ended_change_stays_ended(story: Story, act: Callable[..., PolicyChange], state: ChangeState) -> None:
    ended = story.do(act, story.draft(), note="too wide")
    assert (ended.state, ended.note) == (state, "too wide")
    for other in (policy_changes.approve_change, policy_changes.apply_change, policy_changes.rewrite_change):
        with pytest.raises(WrongChangeState):
            story.do(other, ended)


class TestFourEyes:
    @pytest.fixture(autouse=True)
    def asked_for(self, story: Story) -> None:
        story.four_eyes()

    def test_other_operator_approves(self, story: Story) -> None:
        change = story.draft()
        assert story.do(policy_changes.approve_change, change, by=BO).state is ChangeState.APPROVED
        assert story.do(policy_changes.apply_change, change).change.state is ChangeState.APPLIED
        assert story.rules() == [UP, DOWN, STOP]

    def test_approval_of_who_may_approve_no_longer_does_not_count(
        self, story: Story, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change = story.draft()
        story.do(policy_changes.approve_change, change, by=BO)
        monkeypatch.setattr(approvers, "gone", frozenset({BO.id}))
        with pytest.raises(ApprovalsMissing, match="needs 1 more approval"):
            story.do(policy_changes.apply_change, change)
        assert story.rules() == [UP, DOWN]
        story.do(policy_changes.approve_change, change, by=CY)
        story.do(policy_changes.apply_change, change)
        assert story.rules() == [UP, DOWN, STOP]

    def test_author_does_not_approve(self, story: Story) -> None:
        with pytest.raises(ApprovalDenied):
            story.do(policy_changes.approve_change, story.draft())

    def test_whoever_wrote_on_it_does_not_approve(self, story: Story) -> None:
        change = story.draft()
        story.do(policy_changes.rewrite_change, change, by=BO, document=story.with_rules(UP))
        with pytest.raises(ApprovalDenied):
            story.do(policy_changes.approve_change, change, by=BO)

    @pytest.mark.parametrize("by", [MILL, SHELL])
    def test_program_or_command_does_not_approve(self, story: Story, by: Actor) -> None:
        with pytest.raises(ApprovalDenied):
            story.do(policy_changes.approve_change, story.draft(), by=by)

    @pytest.mark.parametrize("author", [MILL, SHELL])
    def test_what_a_program_wrote_needs_two_operators(self, story: Story, author: Actor) -> None:
        """Whoever holds a program's secret may be the one who approves: so it counts as nobody's eyes."""
        change = story.draft(by=author)
        assert story.do(policy_changes.approve_change, change, by=ADA).state is ChangeState.DRAFT
        again = story.do(policy_changes.approve_change, change, by=ADA)
        assert (again.state, len(again.approvals)) == (ChangeState.DRAFT, 1)
        assert story.do(policy_changes.approve_change, change, by=BO).state is ChangeState.APPROVED

    @pytest.mark.parametrize("touch", ["title", "document"])
    def test_what_a_program_wrote_needs_two_even_if_an_operator_touched_it(self, story: Story, touch: str) -> None:
        """Else whoever wrote it through a program could approve it after somebody else rebased it, or named it."""
        change = story.draft(by=MILL)
        more: dict[str, Any] = {"title": "Better"} if touch == "title" else {"document": story.with_rules(UP)}
        story.do(policy_changes.rewrite_change, change, by=BO, **more)
        assert story.do(policy_changes.approve_change, change, by=ADA).state is ChangeState.DRAFT
        if touch == "document":
            with pytest.raises(ApprovalDenied):
                story.do(policy_changes.approve_change, change, by=BO)
        assert story.do(policy_changes.approve_change, change, by=CY).state is ChangeState.APPROVED

    def test_role_is_not_written_past_it(self, story: Story) -> None:
        with pytest.raises(ApprovalRequired):
            story.edit(WIDE)
        with pytest.raises(ApprovalRequired):
            create_role(domain=NORTH, name="gates", rules=[WIDE], actor=ADA, now=story.now)
        with pytest.raises(ApprovalRequired):
            delete_role(role=story.pumps.id, actor=ADA, now=story.now)
        assert story.rules() == [UP, DOWN]

    def test_binding_is_not_written_past_it(self, story: Story) -> None:
        [binding] = queries.list_bindings(domains=[NORTH])
        with pytest.raises(ApprovalRequired):
            services.unbind_role(binding=binding.id, actor=ADA, now=story.now)
        with pytest.raises(ApprovalRequired):
            services.bind_role(
                domain=NORTH, role=story.pumps.id, target=BindingTarget(domain="north"), actor=ADA, now=story.now
            )
        with pytest.raises(ApprovalRequired):
            services.set_quarantine_role(domain=NORTH, role=story.pumps.id, actor=ADA, now=story.now)
        assert queries.list_bindings(domains=[NORTH]) == [binding]

    def test_other_domain_is_free(self, south: Factory) -> None:
        south.role("pumps")


def test_four_eyes_hold_for_what_was_approved_before_they_were_asked_for(story: Story) -> None:
    change = story.draft()
    story.do(policy_changes.approve_change, change)
    story.four_eyes()
    with pytest.raises(ApprovalsMissing):
        story.do(policy_changes.apply_change, change)
    story.do(policy_changes.approve_change, change, by=BO)
    story.do(policy_changes.apply_change, change)


@pytest.mark.parametrize("by", [MILL, SHELL])
def test_program_does_not_choose_whose_eyes_are_needed(story: Story, by: Actor) -> None:
    with pytest.raises(OwnersOnly):
        policy_changes.set_policy_approval(domain=NORTH, rule=ApprovalRule.NONE, actor=by, now=story.now)


def test_choosing_whose_eyes_are_needed_is_in_the_journal_once(story: Story) -> None:
    story.four_eyes()
    story.four_eyes()
    [entry] = [each for each in list_entries(limit=99) if each.action == "devices.domain.policy_approval_set"]
    assert (entry.before, entry.after) == ({"policy_approval": "none"}, {"policy_approval": "other-operator"})


def test_change_whose_base_moved_is_not_applied(story: Story) -> None:
    change = story.draft()
    story.do(policy_changes.approve_change, change)
    create_role(domain=NORTH, name="gates", rules=[WIDE], actor=BO, now=story.now)
    with pytest.raises(BaseMoved):
        story.do(policy_changes.apply_change, change)
    assert story.rules() == [UP, DOWN]


def test_new_group_does_not_move_the_base(story: Story) -> None:
    change = story.draft()
    services.create_group(domain=NORTH, name="hall", actor=ADA, now=story.now)
    story.do(policy_changes.approve_change, change)
    story.do(policy_changes.apply_change, change)
    assert story.rules() == [UP, DOWN, STOP]


def test_rebased_change_keeps_what_others_did(story: Story) -> None:
    change = story.draft()
    create_role(domain=NORTH, name="gates", rules=[WIDE], actor=BO, now=story.now)
    rebased = story.do(policy_changes.rebase_change, change)
    assert rebased.base == story.policy()
    story.do(policy_changes.approve_change, rebased)
    story.do(policy_changes.apply_change, rebased)
    assert (story.rules(), story.rules("gates")) == ([UP, DOWN, STOP], [WIDE])


def test_rebase_of_a_change_in_step_changes_nothing(story: Story) -> None:
    change = story.draft()
    assert story.do(policy_changes.rebase_change, change) == change


def test_conflict_is_named_by_its_role_and_decided_by_people(story: Story) -> None:
    change = story.draft()
    story.edit(UP, WIDE)
    with pytest.raises(RebaseConflict) as caught:
        story.do(policy_changes.rebase_change, change)
    assert [fault.pointer for fault in caught.value.errors] == ["/roles/pumps"]
    standing = changes.standing_of(change=change)
    assert standing.merged is not None
    assert [conflict.name for conflict in standing.merged.roles] == ["pumps"]
    decided = story.do(policy_changes.rebase_change, change, decisions=Decisions(roles={"pumps": Side.DRAFT}))
    assert differences(story.policy(), decided.document).roles_changed[0].removed == (WIDE,)


def test_journal_keeps_decisions_of_conflicts_alone(story: Story) -> None:
    change = story.draft()
    story.edit(UP, WIDE)
    said = Decisions(roles={"pumps": Side.DRAFT, "junk": Side.PRESENT}, quarantine_role=Side.DRAFT)
    story.do(policy_changes.rebase_change, change, decisions=said)
    assert list_entries(limit=1)[0].after["decided"] == {"pumps": "draft"}


def test_role_that_was_deleted_meanwhile_is_a_conflict(story: Story) -> None:
    change = story.draft()
    story.do(policy_changes.approve_change, change)
    [binding] = queries.list_bindings(domains=[NORTH])
    services.unbind_role(binding=binding.id, actor=BO, now=story.now)
    delete_role(role=story.pumps.id, actor=BO, now=story.now)
    with pytest.raises(BaseMoved):
        story.do(policy_changes.apply_change, change)
    with pytest.raises(RebaseConflict):
        story.do(policy_changes.rebase_change, change)
    assert story.policy().roles == ()


def test_rollback_takes_the_change_back_and_nothing_else(story: Story) -> None:
    before = story.policy()
    done = story.applied()
    create_role(domain=NORTH, name="gates", rules=[WIDE], actor=BO, now=story.now)
    back = story.do(policy_changes.roll_back_change, done, by=BO)
    assert (back.state, back.rolls_back) == (ChangeState.DRAFT, done.id)
    assert story.rules() == [UP, DOWN, STOP]
    story.do(policy_changes.approve_change, back)
    story.do(policy_changes.apply_change, back)
    assert story.rules() == [UP, DOWN]
    assert story.rules("gates") == [WIDE]
    assert [role for role in story.policy().roles if role.name != "gates"] == list(before.roles)
    assert changes.get_change(change=done.id).state is ChangeState.ROLLED_BACK


def test_rollback_overwrites_nothing_that_others_did_since(story: Story) -> None:
    done = story.applied()
    story.edit(UP, DOWN, STOP, WIDE)
    back = story.do(policy_changes.roll_back_change, done)
    standing = changes.standing_of(change=back)
    assert standing.merged is not None
    assert [conflict.name for conflict in standing.merged.roles] == ["pumps"]
    with pytest.raises(BaseMoved):
        story.do(policy_changes.approve_change, back)
    assert story.rules() == [UP, DOWN, STOP, WIDE]


def test_only_what_was_applied_is_rolled_back(story: Story) -> None:
    with pytest.raises(WrongChangeState):
        story.do(policy_changes.roll_back_change, story.draft())


def test_rollback_needs_the_four_eyes_as_any_change(story: Story) -> None:
    done = story.applied()
    story.four_eyes()
    back = story.do(policy_changes.roll_back_change, done)
    with pytest.raises(ApprovalDenied):
        story.do(policy_changes.approve_change, back)


def test_what_goes_wrong_half_way_leaves_the_policy_as_it_was(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the process is killed between two writes: there is one transaction, and it does not end."""
    gates = RoleSpec(name="gates", rules=(WIDE,))
    policy = story.with_rules(UP)
    change = story.draft(replace(policy, roles=(gates, *policy.roles), bindings=()))
    story.do(policy_changes.approve_change, change)
    before, entries = story.policy(), len(list_entries(limit=999))

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("devices.services.policy_changes.applying.roles.change_role", die)
    with pytest.raises(KeyboardInterrupt):
        story.do(policy_changes.apply_change, change)
    assert story.policy() == before
    assert len(list_entries(limit=999)) == entries
    assert changes.get_change(change=change.id).state is ChangeState.APPROVED


def test_target_that_is_gone_leaves_the_policy_as_it_was(story: Story) -> None:
    story.factory.register("pump-1")
    policy = story.policy()
    wanted = BindingSpec(role="pumps", via=BindingVia.DEVICE, target="pump-1")
    change = story.draft(replace(policy, bindings=(wanted, *policy.bindings)))
    story.do(policy_changes.approve_change, change)
    Device.objects.filter(name="pump-1").delete()
    with pytest.raises(TargetGone):
        story.do(policy_changes.apply_change, change)
    assert story.policy() == policy


def test_versions_are_kept_with_the_policy_before_and_after(story: Story) -> None:
    first = story.applied()
    second = story.applied(story.with_rules(UP))
    story.draft()
    assert [row.id for row in changes.list_changes(domains=[NORTH], states=IN_HISTORY)] == [second.id, first.id]
    kept = changes.get_change(change=second.id)
    assert differences(first.document, kept.base).is_empty
    assert [row.number for row in changes.list_changes(domains=[NORTH])] == [3, 2, 1]


def test_list_reads_no_documents_and_goes_on_behind_the_last(
    story: Story, django_assert_num_queries: Callable[..., Any]
) -> None:
    made = [story.draft() for _ in range(3)]
    with django_assert_num_queries(1):
        rows = changes.list_changes(domains=[NORTH], limit=2)
    assert [row.id for row in rows] == [made[2].id, made[1].id]
    assert [row.id for row in changes.list_changes(domains=[NORTH], after=rows[1].id)] == [made[0].id]


def test_change_of_another_domain_is_not_found(story: Story, south: Factory) -> None:
    change = story.draft()
    with pytest.raises(changes.PolicyChangeNotFound):
        changes.get_change(change=change.id, domains=[south.domain])
    assert changes.list_changes(domains=[south.domain]) == []
    assert Row.objects.count() == 1
    assert CY.label not in {author.label for author in change.authors}
