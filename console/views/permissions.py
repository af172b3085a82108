"""What a device or application may do, for people: each rule in force with its conditions, its role and its binding."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from acl.core.explanation import effective
from acl.core.own_rules import words_of
from acl.core.rules import RuleSpec
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Rule, Shared
from acl.queries import list_roles
from devices.core.values import DeviceSubject
from kernel.core.ids import DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A rule as it holds for the device. `filter` is empty where the rule is void; `reason` then says why."""

    effect: str
    actions: str
    filter: str
    template: str
    conditions: str
    reason: str
    role: str
    role_address: str
    via: str
    target: str


def permissions_of(subject: DeviceSubject) -> list[Permission]:
    """Every rule in force for the device, denies first."""
    addresses = _role_addresses(subject.device.domain)
    rows = []
    for found in effective(subject.policy, subject.principal):
        rule, binding = found.bound.rule, found.bound.binding
        rows.append(
            Permission(
                effect=rule.effect.value,
                actions=actions_of(rule),
                filter=found.filter or "",
                template=rule.topic,
                conditions=conditions_of(rule),
                reason=found.void_reason,
                role=words_of(found.bound.role_name),
                role_address=addresses.get(found.bound.role_name, ""),
                via=binding.via.replace("_", " ") if binding else "quarantine",
                target=binding.target if binding else "",
            )
        )
    return sorted(rows, key=lambda row: row.effect != Effect.DENY.value)


def _role_addresses(domain: DomainId) -> dict[str, str]:
    """Where each role of the domain has its page, by name; without the own rules of devices."""
    return {role.name: reverse("role", args=[role.id]) for role in list_roles(domains=[domain], with_own=False)}


def actions_of(rule: Rule | RuleSpec) -> str:
    """The actions of a rule as words."""
    return ", ".join(action.value for action in Action if action in rule.actions)


def conditions_of(rule: Rule | RuleSpec) -> str:
    """The conditions of a rule as words; empty if it has none."""
    words = []
    if rule.qos != EVERY_QOS:
        words.append("QoS " + ", ".join(map(str, sorted(rule.qos))))
    if rule.retain is not Retain.ANY:
        words.append("retained only" if rule.retain is Retain.ONLY else "never retained")
    if rule.shared is not Shared.ANY:
        group = f" in {rule.shared_group}" if rule.shared_group else ""
        words.append(f"shared only{group}" if rule.shared is Shared.ONLY else "not shared")
    return "; ".join(words)
