"""What a policy document means for one device: which roles reach it, and the rules that hold for it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from uuid import UUID, uuid5

from acl.core.rules import RuleSpec
from acl.core.values import BindingRef, BoundRule, RuleId
from devices.core.group_query import asked_of, belongs, parse
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.values import Device, DeviceState
from devices.core.windows import WindowState

_MADE = UUID("6f2c1f0e-6c0b-4b7b-9d0e-6f5b1f9f7f11")
"""The namespace of ids for rules and bindings that have none yet."""
_MOST_WHOLES = 10_000


class PolicyInForce:
    """A document at a moment, ready to be asked about one device after another.

    `rule_ids` and `binding_ids` are those that the policy in force has; what is new gets one that depends on what it
    says alone. `aliases` are names for roles to go by in the rules that hold.
    """

    def __init__(
        self,
        document: PolicyDocument,
        *,
        rule_ids: Mapping[tuple[str, RuleSpec], RuleId],
        binding_ids: Mapping[BindingSpec, UUID],
        now: datetime,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._roles = {role.name: role for role in document.roles}
        self._aliases = aliases or {}
        self._quarantine = document.quarantine_role
        self._rule_ids = rule_ids
        self._binding_ids = {binding.place: id for binding, id in binding_ids.items()}
        self._by_target: dict[tuple[BindingVia, str], list[BindingSpec]] = defaultdict(list)
        for binding in document.bindings:
            if binding.window.state(now) is WindowState.IN_FORCE:
                self._by_target[binding.via, binding.target].append(binding)
        self._wholes: dict[tuple[int, ...], tuple[BoundRule, ...]] = {}
        self._rules: dict[BindingSpec | str, tuple[BoundRule, ...]] = {}
        bound = {target for via, target in self._by_target if via is BindingVia.GROUP}
        self._queries = {
            group.name: parse(group.query) for group in document.groups if group.query and group.name in bound
        }

    def role_names(self, device: Device) -> tuple[str, ...]:
        """The names of the roles whose rules hold for the device, sorted; of its state too, as policy.md has it."""
        if device.state is DeviceState.QUARANTINED:
            return (self._quarantine,) if self._quarantine else ()
        if device.state is not DeviceState.ACTIVE:
            return ()
        return tuple(sorted({binding.role for binding in self._bindings(device)}))

    def rules(self, names: tuple[str, ...]) -> tuple[RuleSpec, ...]:
        """The rules of these roles together."""
        return tuple(rule for name in names for rule in self._roles[name].rules)

    def policy_of(self, device: Device) -> tuple[BoundRule, ...]:
        """The rules that hold for the device, each with the role and the binding that bring it."""
        if device.state is DeviceState.QUARANTINED:
            return self._bound(self._roles[self._quarantine], None) if self._quarantine else ()
        if device.state is not DeviceState.ACTIVE:
            return ()
        return self._whole([self._bound(self._roles[binding.role], binding) for binding in self._bindings(device)])

    def _whole(self, parts: list[tuple[BoundRule, ...]]) -> tuple[BoundRule, ...]:
        """What they are together, as one value for all who have the same; each part is kept, so its id is its own."""
        if len(self._wholes) >= _MOST_WHOLES:
            self._wholes.clear()
        return self._wholes.setdefault(tuple(map(id, parts)), tuple(chain.from_iterable(parts)))

    def _bindings(self, device: Device) -> list[BindingSpec]:
        places = [
            (BindingVia.DOMAIN, device.domain_slug),
            (BindingVia.DEVICE_TYPE, device.device_type),
            (BindingVia(device.kind), device.name),
            *((BindingVia.GROUP, group) for group in self._groups(device)),
        ]
        return [binding for place in places for binding in self._by_target.get(place, ())]

    def _groups(self, device: Device) -> list[str]:
        """Those it was put into, and those whose query in this document is true of it."""
        asked = asked_of(device) if self._queries else None
        found = (name for name, query in self._queries.items() if asked and belongs(asked, query))
        return [*(name for name in device.groups if name not in self._queries), *found]

    def _bound(self, role: RoleSpec, binding: BindingSpec | None) -> tuple[BoundRule, ...]:
        key = binding or role.name
        if key not in self._rules:
            ref = self._ref(binding) if binding else None
            name = self._aliases.get(role.name, role.name)
            rules = tuple(
                BoundRule(rule=rule.with_id(self._rule_id(role.name, rule)), role_name=name, binding=ref)
                for rule in role.rules
            )
            self._rules.setdefault(key, rules)  # that of another thread stays, since `_whole` goes by its id
        return self._rules[key]

    def _rule_id(self, role: str, rule: RuleSpec) -> RuleId:
        known = self._rule_ids.get((role, rule))
        if known is not None:
            return known
        said = [role, rule.effect, sorted(rule.actions), rule.topic, sorted(rule.qos), rule.retain, rule.shared]
        return RuleId(uuid5(_MADE, json.dumps([*said, rule.shared_group])))

    def _ref(self, binding: BindingSpec) -> BindingRef:
        said = json.dumps([binding.role, binding.via, binding.target])
        known = self._binding_ids.get(binding.place) or uuid5(_MADE, said)
        return BindingRef(id=known, via=binding.via.value, target=binding.target)
