"""Whose eyes a change needs: a table worked out by hand."""

from __future__ import annotations

import pytest

from devices.core.policy_changes import Approval, ApprovalRule, Person, approvals_missing, may_approve
from kernel.core.actor import ActorKind
from tests.cast import NOW

ADA, BO, CY = (Person(kind=ActorKind.OPERATOR, id=name, label=name) for name in ("ada", "bo", "cy"))
MILL = Person(kind=ActorKind.APPLICATION, id="ada", label="mill")  # an id means something for its kind alone
SHELL = Person(kind=ActorKind.OPERATOR, id="command:ada", label="ada (command line)")


@pytest.mark.parametrize(
    ("authors", "approvers", "missing"),
    [
        ([ADA], [], 1),
        ([ADA], [BO], 0),
        ([ADA], [ADA], 1),
        ([ADA], [MILL, SHELL], 1),
        ([ADA, BO], [BO], 1),
        ([ADA, BO], [CY], 0),
        ([MILL], [ADA], 1),
        ([MILL], [ADA, ADA], 1),
        ([MILL], [ADA, BO], 0),
        ([SHELL], [ADA], 1),
        ([MILL, BO], [ADA], 1),
        ([MILL, BO], [ADA, CY], 0),
        ([], [ADA], 1),
    ],
)
def test_four_eyes_are_those_of_two_humans(authors: list[Person], approvers: list[Person], missing: int) -> None:
    approvals = [Approval(by=each, at=NOW) for each in approvers]
    assert approvals_missing(ApprovalRule.OTHER_OPERATOR, authors=authors, approvals=approvals) == missing


@pytest.mark.parametrize("approver", [ADA, MILL, SHELL])
def test_without_four_eyes_anyones_approval_is_enough(approver: Person) -> None:
    approval = Approval(by=approver, at=NOW)
    assert approvals_missing(ApprovalRule.NONE, authors=[ADA], approvals=[]) == 1
    assert approvals_missing(ApprovalRule.NONE, authors=[ADA], approvals=[approval]) == 0
    assert may_approve(ApprovalRule.NONE, person=approver, authors=[ADA]) == ""


@pytest.mark.parametrize(("person", "may"), [(ADA, False), (BO, True), (MILL, False), (SHELL, False)])
def test_who_may_approve(person: Person, may: bool) -> None:
    refusal = may_approve(ApprovalRule.OTHER_OPERATOR, person=person, authors=[ADA])
    assert (refusal == "") == may
