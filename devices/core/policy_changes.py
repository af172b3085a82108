"""A change of policy as a whole: its life, and whose eyes it needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from acl.core.rules import InvalidRole, check_role
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument
from kernel.core.actor import Actor, ActorKind
from kernel.core.errors import FieldError, Invalid
from kernel.core.ids import DomainId

PolicyChangeId = NewType("PolicyChangeId", UUID)

MOST_ROLES = 2_000
MOST_BINDINGS = 20_000
MOST_FAULTS = 100
_SHELL = "command:"
"""Ids of those who type commands begin so: the shell's user, who is nobody that signed in here."""


class InvalidPolicy(Invalid):
    """The document can not be accepted as it is; `errors` has its faults, at most a hundred."""

    code = "invalid-policy"


class ChangeState(StrEnum):
    """The life of a change: draft → approved → applied → rolled-back; an end before it is applied is withdrawn or
    rejected, and an approved change that is written again is a draft again.
    """

    DRAFT = "draft"
    APPROVED = "approved"
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


def approvals_missing(rule: ApprovalRule, *, authors: Iterable[Person], approvals: Iterable[Approval]) -> int:
    """How many more approvals the change needs.

    Four eyes are those of two humans: one who wrote it and one who approves it, or two who approve it where no
    human is known to have written it (an application's secret can be in anyone's hands).
    """
    if rule is ApprovalRule.NONE:
        return 0 if any(True for _ in approvals) else 1
    known = {author.id for author in authors if author.is_known}
    others = {approval.by.id for approval in approvals if approval.by.is_known} - known
    return max(0, (1 if known else 2) - len(others))


def may_approve(rule: ApprovalRule, *, person: Person, authors: Iterable[Person]) -> str:
    """Empty if that person's approval counts; else why it does not, as a sentence that says what to do."""
    if rule is ApprovalRule.NONE:
        return ""
    if not person.is_known:
        return "In this domain a change is approved by an operator who is signed in: not by a program or a command."
    if person.id in {author.id for author in authors if author.is_known}:
        return "You wrote of this change, and this domain asks for four eyes: ask another operator to approve it."
    return ""


def check_document(document: PolicyDocument) -> None:
    """Nothing, if the document is sound in itself. Raises InvalidPolicy."""
    faults = [*_role_faults(document), *_binding_faults(document)]
    names = {role.name for role in document.roles}
    if document.quarantine_role is not None and document.quarantine_role not in names:
        detail = f"There is no role {document.quarantine_role[:64]!r} in the document."
        faults.append(FieldError(pointer="/quarantine_role", code="unknown-role", detail=detail))
    if faults:
        raise InvalidPolicy(
            f"The policy has {len(faults)} fault(s); the first: {faults[0].detail}", errors=tuple(faults[:MOST_FAULTS])
        )


def _role_faults(document: PolicyDocument) -> Sequence[FieldError]:
    faults: list[FieldError] = []
    if len(document.roles) > MOST_ROLES:
        detail = f"A domain's policy has at most {MOST_ROLES} roles: take some out."
        return [FieldError(pointer="/roles", code="too-many", detail=detail)]
    seen: dict[str, int] = {}
    for number, role in enumerate(document.roles):
        at = f"/roles/{number}"
        if seen.setdefault(role.name, number) != number:
            detail = f"There are two roles called {role.name[:64]!r}: make one of them."
            faults.append(FieldError(pointer=f"{at}/name", code="duplicate", detail=detail))
        try:
            check_role(name=role.name, rules=role.rules)
        except InvalidRole as error:
            faults += [
                FieldError(pointer=at + each.pointer, code=each.code, detail=f"{role.name[:64]}: {each.detail}")
                for each in error.errors
            ]
    return faults


def _binding_faults(document: PolicyDocument) -> Sequence[FieldError]:
    if len(document.bindings) > MOST_BINDINGS:
        detail = f"A change holds at most {MOST_BINDINGS} bindings: bind roles to groups or types, not to each device."
        return [FieldError(pointer="/bindings", code="too-many", detail=detail)]
    names = {role.name for role in document.roles}
    faults: list[FieldError] = []
    seen: set[BindingSpec] = set()
    for number, binding in enumerate(document.bindings):
        at = f"/bindings/{number}"
        if binding.role not in names:
            detail = f"There is no role {binding.role[:64]!r} in the document."
            faults.append(FieldError(pointer=f"{at}/role", code="unknown-role", detail=detail))
        if binding in seen:
            detail = f"The role {binding.role[:64]} is given to {binding.target[:64]} twice: take one out."
            faults.append(FieldError(pointer=at, code="duplicate", detail=detail))
        if binding.via is BindingVia.DOMAIN and binding.target != document.domain:
            detail = f"A document gives roles in its own domain alone, {document.domain}."
            faults.append(FieldError(pointer=f"{at}/target", code="other-domain", detail=detail))
        seen.add(binding)
    return faults
