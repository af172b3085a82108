"""The rules that one device has alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from acl import queries as roles
from acl.core.own_rules import own_role_name
from acl.core.rules import RuleSpec
from acl.core.values import Role, Rule
from devices.core.policy_json import rule_json
from kernel.core.ids import DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRules:
    """A device's own rules; `role` holds them, None as long as there are none."""

    role: Role | None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they were written."""
        return self.role.rules if self.role else ()

    @property
    def digest(self) -> str:
        """64 hex digits that are the same as long as the rules say the same: they may be removed, and come again."""
        said = json.dumps([rule_json(RuleSpec.of(rule)) for rule in self.rules], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()


def device_rules(*, domain: DomainId, name: str) -> DeviceRules:
    """The own rules of the domain's device of that name."""
    return DeviceRules(role=roles.find_role(domain=domain, name=own_role_name(name)))
