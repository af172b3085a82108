"""Small edits of a policy document: a role, a binding, the quarantine role. Each gives a new document."""

from __future__ import annotations

from dataclasses import replace

from devices.core.group_query import canonical
from devices.core.policy_document import BindingSpec, GroupSpec, PolicyDocument, RoleSpec
from kernel.core.errors import Conflict, NotFound


class NoSuchRole(NotFound):
    """The document has no role of that name."""

    code = "role-not-found"


class RoleThere(Conflict):
    """The document has a role of that name already."""

    code = "role-name-taken"


def role_of(document: PolicyDocument, name: str) -> RoleSpec:
    """The role called `name`. Raises NoSuchRole."""
    found = next((role for role in document.roles if role.name == name), None)
    if found is None:
        raise NoSuchRole(f"This policy has no role {name[:64]!r}: it may have been taken out.")
    return found


def with_role(document: PolicyDocument, role: RoleSpec, *, was: str | None = None) -> PolicyDocument:
    """The document with the role, in place of the one called `was`, whose bindings it takes over. Raises RoleThere."""
    if role.name != was and any(known.name == role.name for known in document.roles):
        raise RoleThere(f"This policy has a role {role.name} already: change that one, or choose another name.")
    kept = [known for known in document.roles if known.name != was]
    bindings = [replace(each, role=role.name) if each.role == was else each for each in document.bindings]
    quarantine = role.name if was is not None and document.quarantine_role == was else document.quarantine_role
    return _ordered(document, quarantine=quarantine, roles=[*kept, role], bindings=bindings)


def without_role(document: PolicyDocument, name: str) -> PolicyDocument:
    """The document without the role and its bindings; it quarantines nobody any more. Raises NoSuchRole."""
    role_of(document, name)
    return _ordered(
        document,
        quarantine=None if document.quarantine_role == name else document.quarantine_role,
        roles=[role for role in document.roles if role.name != name],
        bindings=[binding for binding in document.bindings if binding.role != name],
    )


def with_binding(document: PolicyDocument, binding: BindingSpec) -> PolicyDocument:
    """The document with the binding, in place of one that gives the role to the same. Raises NoSuchRole."""
    role_of(document, binding.role)
    others = without_binding(document, binding)
    return _ordered(
        others, quarantine=others.quarantine_role, roles=list(others.roles), bindings=[*others.bindings, binding]
    )


def without_binding(document: PolicyDocument, binding: BindingSpec) -> PolicyDocument:
    """The document without the binding, whatever its window is, if it has it."""
    kept = [each for each in document.bindings if each.place != binding.place]
    return _ordered(document, quarantine=document.quarantine_role, roles=list(document.roles), bindings=kept)


def with_group_query(document: PolicyDocument, name: str, query: str) -> PolicyDocument:
    """The document with the group, of those devices that the query is true of. Raises BadQuery."""
    group = GroupSpec(name=name, query=canonical(query))
    groups = sorted([*(each for each in document.groups if each.name != name), group])
    return replace(document, groups=tuple(groups))


def with_quarantine_role(document: PolicyDocument, name: str | None) -> PolicyDocument:
    """The document in which quarantined devices have that role alone, or none. Raises NoSuchRole."""
    if name is not None:
        role_of(document, name)
    return replace(document, quarantine_role=name)


def _ordered(
    document: PolicyDocument, *, quarantine: str | None, roles: list[RoleSpec], bindings: list[BindingSpec]
) -> PolicyDocument:
    return PolicyDocument.of(
        domain=document.domain, quarantine_role=quarantine, roles=roles, bindings=bindings, groups=document.groups
    )
