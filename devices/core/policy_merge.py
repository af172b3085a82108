"""Two changes that began at one policy document, made into one: what both touched differently is a conflict.

A role is merged as a whole: two edits of its rules are for people to weigh, never for a program to mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from devices.core.policy_document import BindingSpec, PolicyDocument, RoleSpec


class Side(StrEnum):
    """Whose part is taken: the policy's that is in force, or the draft's."""

    PRESENT = "present"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleConflict:
    """A role that both sides changed, each in its own way; None where a side has it not.

    `present_uses` and `draft_uses` are bindings that a side added to a role which the other took away.
    """

    name: str
    base: RoleSpec | None
    present: RoleSpec | None
    draft: RoleSpec | None
    present_uses: tuple[BindingSpec, ...] = ()
    draft_uses: tuple[BindingSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineConflict:
    """Both sides chose another quarantine role, and not the same."""

    base: str | None
    present: str | None
    draft: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Which side is taken where both differ; what is not named is undecided."""

    roles: Mapping[str, Side] = field(default_factory=dict)
    quarantine_role: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What came of it. Where a conflict is left, `document` holds what is in force."""

    document: PolicyDocument
    roles: tuple[RoleConflict, ...] = ()
    quarantine_role: QuarantineConflict | None = None

    @property
    def is_clean(self) -> bool:
        """Whether no conflict is left."""
        return not self.roles and self.quarantine_role is None


def same_policy(one: PolicyDocument, other: PolicyDocument) -> bool:
    """Whether both say the same; which groups there are is not policy as long as nothing is bound to them."""
    return replace(one, groups=()) == replace(other, groups=())


def merge(
    *, base: PolicyDocument, present: PolicyDocument, draft: PolicyDocument, decisions: Decisions | None = None
) -> Merge:
    """The draft, made from `base`, as a draft made from `present`; decided conflicts are gone."""
    decided = decisions or Decisions()
    sides = _Sides(base=base, present=present, draft=draft)
    names = sorted({role.name for document in (base, present, draft) for role in document.roles})
    roles: list[RoleSpec] = []
    bindings: set[BindingSpec] = set()
    left: list[RoleConflict] = []
    for name in names:
        found = sides.conflict(name)
        choice = decided.roles.get(name)
        if found and choice is None:
            left.append(found)
        role, uses = sides.chosen(name, choice or Side.PRESENT) if found else sides.merged(name)
        if role is not None:
            roles.append(role)
            bindings |= uses
    quarantine, undecided = _quarantine(sides, decided.quarantine_role, {role.name for role in roles})
    document = PolicyDocument.of(
        domain=present.domain,
        quarantine_role=quarantine,
        roles=roles,
        bindings=bindings,
        groups={*present.groups, *draft.groups},
    )
    return Merge(document=document, roles=tuple(left), quarantine_role=undecided)


class _Sides:
    """The three documents, by the name of a role."""

    def __init__(self, *, base: PolicyDocument, present: PolicyDocument, draft: PolicyDocument) -> None:
        self.base, self.present, self.draft = _Named(base), _Named(present), _Named(draft)

    def conflict(self, name: str) -> RoleConflict | None:
        """How the sides disagree about the role; None if they do not."""
        base, present, draft = (side.roles.get(name) for side in (self.base, self.present, self.draft))
        both = base not in (present, draft) and present != draft
        gone = base is not None and (present is None) != (draft is None)
        present_uses = self._new_uses(self.present, name) if gone and draft is None else ()
        draft_uses = self._new_uses(self.draft, name) if gone and present is None else ()
        relied_on = gone and (self.present if draft is None else self.draft).newly_quarantines(name, self.base)
        if not (both or present_uses or draft_uses or relied_on):
            return None
        return RoleConflict(
            name=name,
            base=base,
            present=present,
            draft=draft,
            present_uses=present_uses,
            draft_uses=draft_uses,
        )

    def _new_uses(self, side: _Named, name: str) -> tuple[BindingSpec, ...]:
        return tuple(sorted(side.uses(name) - self.base.uses(name)))

    def merged(self, name: str) -> tuple[RoleSpec | None, frozenset[BindingSpec]]:
        """The role where at most one side changed it, and its bindings: each side's additions and removals."""
        base, present, draft = (side.roles.get(name) for side in (self.base, self.present, self.draft))
        return (draft if present == base else present), self._merged_uses(name)

    def chosen(self, name: str, side: Side) -> tuple[RoleSpec | None, frozenset[BindingSpec]]:
        """That side's role. Its bindings are merged, unless a side does not have the role: then they are its own."""
        taken = self.present if side is Side.PRESENT else self.draft
        both = name in self.present.roles and name in self.draft.roles
        return taken.roles.get(name), self._merged_uses(name) if both else taken.uses(name)

    def _merged_uses(self, name: str) -> frozenset[BindingSpec]:
        base, present, draft = (side.uses(name) for side in (self.base, self.present, self.draft))
        return (present & draft) | (present - base) | (draft - base)


class _Named:
    """A document by the name of a role."""

    def __init__(self, document: PolicyDocument) -> None:
        self.roles = {role.name: role for role in document.roles}
        self.quarantine = document.quarantine_role
        self._uses: dict[str, set[BindingSpec]] = {}
        for binding in document.bindings:
            self._uses.setdefault(binding.role, set()).add(binding)

    def uses(self, name: str) -> frozenset[BindingSpec]:
        """Its bindings."""
        return frozenset(self._uses.get(name, ()))

    def newly_quarantines(self, name: str, base: _Named) -> bool:
        """Whether it is the quarantine role here and was not in `base`."""
        return self.quarantine == name and base.quarantine != name


def _quarantine(sides: _Sides, decided: Side | None, names: set[str]) -> tuple[str | None, QuarantineConflict | None]:
    """The quarantine role, None rather than one that is gone; and the conflict that is left."""
    base, present, draft = (side.quarantine for side in (sides.base, sides.present, sides.draft))
    clash = base not in (present, draft) and present != draft
    takes_draft = decided is Side.DRAFT if clash else present == base
    chosen = draft if takes_draft else present
    left = QuarantineConflict(base=base, present=present, draft=draft) if clash and decided is None else None
    if chosen in names:
        return chosen, left
    return next((name for name in (draft, present) if name in names), None) if chosen else None, left
