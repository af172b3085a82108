"""A change of policy as a whole: its life, and whose eyes it needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from devices.core.policy_document import PolicyDocument
from kernel.core.actor import Actor, ActorKind
from kernel.core.ids import DomainId

PolicyChangeId = NewType("PolicyChangeId", UUID)

_SHELL = "command:"
"""Ids of those who type commands begin so: the shell's user, who is nobody that signed in here."""


class ChangeState(StrEnum):
    """The life of a change: draft → approved → applied → rolled-back, with rolling-out before it is applied if it comes
    in waves; an end before it is applied is withdrawn or rejected, and an approved change that is written again, or
    whose rollout is rolled back, is a draft again.
    """

    DRAFT = "draft"
    APPROVED = "approved"
    ROLLING_OUT = "rolling-out"
    APPLIED = "applied"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    ROLLED_BACK = "rolled-back"


OPEN = frozenset({ChangeState.DRAFT, ChangeState.APPROVED})
IN_HISTORY = frozenset({ChangeState.APPLIED, ChangeState.ROLLED_BACK})


class ApprovalRule(StrEnum):
    """Who approves a change: anyone who may, its author included; or an operator who wrote nothing of it."""

    NONE = "none"
    OTHER_OPERATOR = "other-operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An actor as a change remembers it."""

    kind: ActorKind
    id: str
    label: str

    @classmethod
    def of(cls, actor: Actor) -> Person:
        """The actor."""
        return cls(kind=actor.kind, id=actor.id, label=actor.label)

    @property
    def is_known(self) -> bool:
        """Whether it is a human who signed in. Who stands behind an application or a shell is not known."""
        return self.kind is ActorKind.OPERATOR and not self.id.startswith(_SHELL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody found the change good as it stands."""

    by: Person
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """A change. `base` is the policy it was made from and, once it is applied, the one before it.

    `number` counts the domain's changes from 1; `version` rises by one with each thing that is done to the change.
    `authors` are all who wrote of `document`. `rolls_back` is the applied change that this one takes back.
    """

    id: PolicyChangeId
    domain: DomainId
    domain_slug: str
    number: int
    title: str
    state: ChangeState
    version: int
    base: PolicyDocument
    document: PolicyDocument
    authors: tuple[Person, ...]
    approvals: tuple[Approval, ...]
    rolls_back: PolicyChangeId | None
    created_at: datetime
    changed_at: datetime
    ended_at: datetime | None
    ended_by: Person | None
    note: str


def approvals_missing(rule: ApprovalRule, *, authors: Collection[Person], approvals: Iterable[Approval]) -> int:
    """How many more approvals the change needs.

    Four eyes are those of two humans: one who wrote it and one who approves it, or two who approve it as soon as a
    program or a command wrote any of it (who stands behind it may be the one who approves). An approval counts once,
    and not at all if it is an author's.
    """
    if rule is ApprovalRule.NONE:
        return 0 if any(True for _ in approvals) else 1
    needed = 1 if authors and all(author.is_known for author in authors) else 2
    known = {author.id for author in authors if author.is_known}
    others = {approval.by.id for approval in approvals if approval.by.is_known} - known
    return max(0, needed - len(others))


def may_approve(rule: ApprovalRule, *, person: Person, authors: Iterable[Person]) -> str:
    """Empty if that person's approval counts; else why it does not, as a sentence that says what to do."""
    if rule is ApprovalRule.NONE:
        return ""
    if not person.is_known:
        return "In this domain a change is approved by an operator who is signed in: not by a program or a command."
    if person.id in {author.id for author in authors if author.is_known}:
        return "You wrote of this change, and this domain asks for four eyes: ask another operator to approve it."
    return ""
