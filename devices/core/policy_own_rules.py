"""A device's own rules in policy documents: a role of its name behind @, given to it and to nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from acl.core.own_rules import holder_of, own_role_name
from acl.core.rules import RuleSpec
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.policy_editing import with_binding, with_role, without_role
from devices.core.windows import ALWAYS
from kernel.core.errors import FieldError

_CODE = "own-rules"


def with_own_rules(document: PolicyDocument, device: str, rules: Sequence[RuleSpec]) -> PolicyDocument:
    """The document in which these are the rules that the device called `device` has alone; perhaps none."""
    name = own_role_name(device)
    known = next((role for role in document.roles if role.name == name), None)
    if not rules:
        return without_role(document, name) if known else document
    role = RoleSpec(name=name, description=known.description if known else "", rules=tuple(rules))
    written = with_role(document, role, was=known.name if known else None)
    return written if known else with_binding(written, _binding_of(device))


def own_rules_faults(
    roles: Sequence[str], bindings: Sequence[BindingSpec], quarantine_role: str | None
) -> Iterator[FieldError]:
    """What is wrong with roles that are own rules, each fault with its place in a document of these, in this order."""
    if quarantine_role is not None and holder_of(quarantine_role) is not None:
        detail = f"{quarantine_role} holds the rules of one device: quarantined devices need a role for many."
        yield FieldError(pointer="/quarantine_role", code=_CODE, detail=detail)
    holders = defaultdict(set)
    for number, binding in enumerate(bindings):
        holders[binding.role].add((binding.via, binding.target))
        holder = holder_of(binding.role)
        if holder is not None and (binding.via, binding.target) != (BindingVia.DEVICE, holder):
            detail = f"{binding.role} holds the rules that the device {holder} has alone: give it to nothing else."
            yield FieldError(pointer=f"/bindings/{number}", code=_CODE, detail=detail)
        elif holder is not None and binding.window != ALWAYS:
            detail = f"The rules that {holder} has alone hold always: make a role for what holds for a time."
            yield FieldError(pointer=f"/bindings/{number}", code=_CODE, detail=detail)
    for number, role in enumerate(roles):
        holder = holder_of(role)
        if holder is not None and (BindingVia.DEVICE, holder) not in holders[role]:
            detail = f"{role} holds the rules that the device {holder} has alone: give it to that device."
            yield FieldError(pointer=f"/roles/{number}", code=_CODE, detail=detail)


def _binding_of(device: str) -> BindingSpec:
    return BindingSpec(role=own_role_name(device), via=BindingVia.DEVICE, target=device)
