"""Two changes that began at one policy document, made into one: what both touched differently is a conflict.

A role is merged as a whole: two edits of its rules are for people to weigh, never for a program to mix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from devices.core.policy_document import BindingSpec, GroupSpec, Place, PolicyDocument, RoleSpec

_Part = TypeVar("_Part")
_Three = tuple[_Part | None, _Part | None, _Part | None]


class Side(StrEnum):
    """Whose part is taken: the policy's that is in force, or the draft's."""

    PRESENT = "present"
    DRAFT = "draft"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleConflict:
    """A role that both sides changed, each in its own way; None where a side has it not.

    `present_uses` and `draft_uses` are bindings that a side added to a role which the other took away, and those that
    both sides changed, to other windows or by taking one away.
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
class GroupConflict:
    """A group to which both sides gave another query, and not the same; None where a side has no such group.

    An empty query is that of a group whose members are chosen.
    """

    name: str
    base: str | None
    present: str | None
    draft: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Which side is taken where both differ; what is not named is undecided."""

    roles: Mapping[str, Side] = field(default_factory=dict)
    quarantine_role: Side | None = None
    groups: Mapping[str, Side] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What came of it. Where a conflict is left, `document` holds what is in force."""

    document: PolicyDocument
    roles: tuple[RoleConflict, ...] = ()
    quarantine_role: QuarantineConflict | None = None
    groups: tuple[GroupConflict, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether no conflict is left."""
        return not self.roles and not self.groups and self.quarantine_role is None


def same_policy(one: PolicyDocument, other: PolicyDocument) -> bool:
    """Whether both say the same; groups with chosen members are not policy as long as nothing is bound to them."""
    return _by_query(one) == _by_query(other)


def _by_query(document: PolicyDocument) -> PolicyDocument:
    return replace(document, groups=tuple(group for group in document.groups if group.query))


def merge(
    *, base: PolicyDocument, present: PolicyDocument, draft: PolicyDocument, decisions: Decisions | None = None
) -> Merge:
    """The draft, made from `base`, as a draft made from `present`; decided conflicts are gone."""
    decided = decisions or Decisions()
    sides = _Sides(base=base, present=present, draft=draft)
    names = sorted({role.name for document in (base, present, draft) for role in document.roles})
    roles: list[RoleSpec] = []
    bindings: list[BindingSpec] = []
    left: list[RoleConflict] = []
    for name in names:
        found = sides.conflict(name)
        choice = decided.roles.get(name)
        if found and choice is None:
            left.append(found)
        role, uses = sides.chosen(name, choice or Side.PRESENT) if found else sides.merged(name)
        if role is not None:
            roles.append(role)
            bindings += uses
    groups, clashes = _groups(sides, decided.groups)
    quarantine, undecided = _quarantine(sides, decided.quarantine_role, {role.name for role in roles})
    document = PolicyDocument.of(
        domain=present.domain,
        quarantine_role=quarantine,
        roles=roles,
        bindings=bindings,
        groups=groups,
    )
    return Merge(document=document, roles=tuple(left), quarantine_role=undecided, groups=tuple(clashes))


class _Sides:
    """The three documents, by the name of a role."""

    def __init__(self, *, base: PolicyDocument, present: PolicyDocument, draft: PolicyDocument) -> None:
        self.base, self.present, self.draft = _Named(base), _Named(present), _Named(draft)

    def conflict(self, name: str) -> RoleConflict | None:
        """How the sides disagree about the role; None if they do not."""
        base, present, draft = (side.roles.get(name) for side in (self.base, self.present, self.draft))
        both = _differ(base, present, draft)
        gone = base is not None and (present is None) != (draft is None)
        present_uses = self._new_uses(self.present, name) if gone and draft is None else ()
        draft_uses = self._new_uses(self.draft, name) if gone and present is None else ()
        relied_on = gone and (self.present if draft is None else self.draft).newly_quarantines(name, self.base)
        clashing = self._clashing(name)
        present_uses += self.present.at(name, clashing)
        draft_uses += self.draft.at(name, clashing)
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
        return side.at(name, sorted(side.uses(name).keys() - self.base.uses(name).keys()))

    def _clashing(self, name: str) -> list[Place]:
        """Where a binding of the role became another on each side."""
        return [place for place, three in self._places(name) if _differ(*three)]

    def merged(self, name: str, side: Side = Side.PRESENT) -> tuple[RoleSpec | None, Iterable[BindingSpec]]:
        """The role and its bindings, each from the side that changed it, from `side` if both did."""
        base, present, draft = (each.roles.get(name) for each in (self.base, self.present, self.draft))
        found = [_one_of(*three, side) for _, three in self._places(name)]
        return _one_of(base, present, draft, side), [binding for binding in found if binding is not None]

    def chosen(self, name: str, side: Side) -> tuple[RoleSpec | None, Iterable[BindingSpec]]:
        """The same for a conflict; unless a side does not have the role: then its bindings are that side's as well."""
        if name in self.present.roles and name in self.draft.roles:
            return self.merged(name, side)
        taken = self.present if side is Side.PRESENT else self.draft
        return taken.roles.get(name), taken.uses(name).values()

    def _places(self, name: str) -> Iterator[tuple[Place, _Three[BindingSpec]]]:
        base, present, draft = (side.uses(name) for side in (self.base, self.present, self.draft))
        for place in sorted({*base, *present, *draft}):
            yield place, (base.get(place), present.get(place), draft.get(place))


class _Named:
    """A document by the name of a role."""

    def __init__(self, document: PolicyDocument) -> None:
        self.roles = {role.name: role for role in document.roles}
        self.quarantine = document.quarantine_role
        self.groups = {group.name: group.query for group in document.groups}
        self._uses: dict[str, dict[Place, BindingSpec]] = {}
        for binding in document.bindings:
            self._uses.setdefault(binding.role, {})[binding.place] = binding

    def uses(self, name: str) -> Mapping[Place, BindingSpec]:
        """Its bindings."""
        return self._uses.get(name, {})

    def at(self, name: str, places: Iterable[Place]) -> tuple[BindingSpec, ...]:
        """Those of its bindings that are there."""
        uses = self.uses(name)
        return tuple(uses[place] for place in places if place in uses)

    def newly_quarantines(self, name: str, base: _Named) -> bool:
        """Whether it is the quarantine role here and was not in `base`."""
        return self.quarantine == name and base.quarantine != name


def _differ(base: _Part | None, present: _Part | None, draft: _Part | None) -> bool:
    """Whether both sides changed it, each in its own way."""
    return base not in (present, draft) and present != draft


def _one_of(base: _Part | None, present: _Part | None, draft: _Part | None, side: Side) -> _Part | None:
    """What the side that changed it made of it; what `side` made of it if both did."""
    if base in (present, draft):
        return draft if present == base else present
    return present if side is Side.PRESENT else draft


def _groups(sides: _Sides, decided: Mapping[str, Side]) -> tuple[list[GroupSpec], list[GroupConflict]]:
    """Every group of either side, and the conflicts that are left: none is taken away."""
    groups, left = [], []
    for name in sorted({*sides.present.groups, *sides.draft.groups}):
        base, present, draft = (side.groups.get(name) for side in (sides.base, sides.present, sides.draft))
        both = present is not None and draft is not None
        clash = both and _differ(base, present, draft)
        query = _one_of(base, present, draft, decided.get(name, Side.PRESENT)) if both else present or draft
        groups.append(GroupSpec(name=name, query=query or ""))
        if clash and name not in decided:
            left.append(GroupConflict(name=name, base=base, present=present, draft=draft))
    return groups, left


def _quarantine(sides: _Sides, decided: Side | None, names: set[str]) -> tuple[str | None, QuarantineConflict | None]:
    """The quarantine role, None rather than one that is gone; and the conflict that is left."""
    base, present, draft = (side.quarantine for side in (sides.base, sides.present, sides.draft))
    clash = _differ(base, present, draft)
    chosen = _one_of(base, present, draft, decided or Side.PRESENT)
    left = QuarantineConflict(base=base, present=present, draft=draft) if clash and decided is None else None
    if chosen in names:
        return chosen, left
    return next((name for name in (draft, present) if name in names), None) if chosen else None, left
