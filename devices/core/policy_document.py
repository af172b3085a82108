"""The policy of a domain as one value: roles with their rules, who has them, and what changes from one to another.

Everything is told by name, so that a document means the same on another day and in another installation. It must not
know how it is spelled (policy_yaml) nor where it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar

from acl.core.rules import RuleSpec
from devices.core.windows import ALWAYS, Window

_Item = TypeVar("_Item")
Place = tuple[str, "BindingVia", str]


class BindingVia(StrEnum):
    """What a role is given to."""

    DEVICE = "device"
    APPLICATION = "application"
    GROUP = "group"
    DEVICE_TYPE = "device_type"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpec:
    """A role by name, its rules in the order in which people wrote them."""

    name: str
    description: str = ""
    rules: tuple[RuleSpec, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingSpec:
    """The role called `role`, given to what is called `target`, or to the domain of that slug, for the window."""

    role: str
    via: BindingVia
    target: str
    window: Window = ALWAYS

    @property
    def place(self) -> Place:
        """What there is one binding for: the role, and what it is given to. Documents are in this order."""
        return self.role, self.via, self.target


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class GroupSpec:
    """A group of devices, those that `query` is true of.

    Without one its members are chosen; they belong to the register of devices and not to policy.
    """

    name: str
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """All policy of one domain (`domain` is its slug). Make it with `of`, which brings it into its one order.

    `quarantine_role` is the name of a role, or None. Groups are those that there are, whether bound or not.
    """

    domain: str
    quarantine_role: str | None = None
    roles: tuple[RoleSpec, ...] = ()
    bindings: tuple[BindingSpec, ...] = ()
    groups: tuple[GroupSpec, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        domain: str,
        quarantine_role: str | None = None,
        roles: Iterable[RoleSpec] = (),
        bindings: Iterable[BindingSpec] = (),
        groups: Iterable[GroupSpec] = (),
    ) -> Self:
        """The document: roles by name, bindings by role, kind and target, groups by name; rules as they come."""
        return cls(
            domain=domain,
            quarantine_role=quarantine_role,
            roles=tuple(sorted(roles, key=lambda role: role.name)),
            bindings=tuple(sorted(bindings, key=lambda binding: binding.place)),
            groups=tuple(sorted(groups)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChange:
    """A role that both documents have and that differs: in its description, its rules, or only in their order."""

    before: RoleSpec
    after: RoleSpec

    @property
    def name(self) -> str:
        """The name of the role."""
        return self.after.name

    @property
    def added(self) -> tuple[RuleSpec, ...]:
        """The rules that are new, in their order."""
        return _without(self.after.rules, self.before.rules)

    @property
    def removed(self) -> tuple[RuleSpec, ...]:
        """The rules that are gone, in their order."""
        return _without(self.before.rules, self.after.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingChange:
    """A binding that both documents have, each for another window."""

    before: BindingSpec
    after: BindingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """A group that both documents have, with another query."""

    before: GroupSpec
    after: GroupSpec

    @property
    def name(self) -> str:
        """The name of the group."""
        return self.after.name

    @property
    def turns(self) -> bool:
        """Whether it would become a group of the other kind, which none does."""
        return not (self.before.query and self.after.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDifference:
    """What has to be done to come from one document to another, each in the order of documents.

    No group is taken away: one that the later document does not name stays as it is.
    """

    roles_added: tuple[RoleSpec, ...] = ()
    roles_changed: tuple[RoleChange, ...] = ()
    roles_removed: tuple[RoleSpec, ...] = ()
    bindings_added: tuple[BindingSpec, ...] = ()
    bindings_changed: tuple[BindingChange, ...] = ()
    bindings_removed: tuple[BindingSpec, ...] = ()
    groups_added: tuple[GroupSpec, ...] = ()
    groups_changed: tuple[GroupChange, ...] = ()
    quarantine_role: tuple[str | None, str | None] | None = None

    @property
    def role_names(self) -> frozenset[str]:
        """The names of the roles that come, change or go."""
        whole = {role.name for role in (*self.roles_added, *self.roles_removed)}
        return frozenset(whole | {changed.name for changed in self.roles_changed})

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be done."""
        return self == PolicyDifference()


def differences(before: PolicyDocument, after: PolicyDocument) -> PolicyDifference:
    """What has to be done to come from `before` to `after`; `quarantine_role` is (before, after) if it changes."""
    old = {role.name: role for role in before.roles}
    new = {role.name: role for role in after.roles}
    given = {binding.place: binding for binding in before.bindings}
    kept = {binding.place for binding in after.bindings}
    groups = {group.name: group for group in before.groups}
    changed = before.quarantine_role != after.quarantine_role
    return PolicyDifference(
        roles_added=tuple(role for role in after.roles if role.name not in old),
        roles_changed=tuple(
            RoleChange(before=old[role.name], after=role)
            for role in after.roles
            if role.name in old and old[role.name] != role
        ),
        roles_removed=tuple(role for role in before.roles if role.name not in new),
        bindings_added=tuple(binding for binding in after.bindings if binding.place not in given),
        bindings_changed=tuple(
            BindingChange(before=given[binding.place], after=binding)
            for binding in after.bindings
            if given.get(binding.place, binding) != binding
        ),
        bindings_removed=tuple(binding for binding in before.bindings if binding.place not in kept),
        groups_added=tuple(group for group in after.groups if group.name not in groups),
        groups_changed=tuple(
            GroupChange(before=groups[group.name], after=group)
            for group in after.groups
            if group.name in groups and groups[group.name] != group
        ),
        quarantine_role=(before.quarantine_role, after.quarantine_role) if changed else None,
    )


def bindings_at_work(before: PolicyDocument, after: PolicyDocument) -> set[BindingSpec]:
    """The bindings by which somebody may gain or lose: those that differ, and those of roles that do."""
    roles = differences(before, after).role_names
    theirs = {each for each in (*before.bindings, *after.bindings) if each.role in roles}
    return theirs | ({*before.bindings} ^ {*after.bindings})


def _without(items: Iterable[_Item], others: Iterable[_Item]) -> tuple[_Item, ...]:
    gone = frozenset(others)
    return tuple(item for item in items if item not in gone)
