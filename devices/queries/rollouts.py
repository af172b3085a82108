"""Rollouts, and the policy that one lays over the tables for those whose wave has come."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from acl.core.own_rules import holder_of
from acl.core.rules import RuleSpec
from acl.core.values import BoundRule
from devices.core.policy_changes import PolicyChangeId
from devices.core.policy_document import differences
from devices.core.policy_in_force import PolicyInForce
from devices.core.policy_kept import from_kept
from devices.core.rollouts import Rollout, RolloutId, Split
from devices.core.values import Device, DeviceId
from devices.models import Device as DeviceRow
from devices.models import Rollout as RolloutRow
from devices.queries.policy import policy_now
from kernel.core.clock import FOR_EVER
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId

_MOST_KEPT = 64
_AT_ONCE = 5_000


class RolloutNotFound(NotFound):
    """There is no such rollout, or none that may be seen."""

    code = "rollout-not-found"


def missing_rollout() -> RolloutNotFound:
    """The error that there is no such rollout."""
    return RolloutNotFound("There is no such rollout: list the rollouts to see those there are.")


def get_rollout(*, rollout: RolloutId, domains: Collection[DomainId] | None = None) -> Rollout:
    """The rollout, in one of `domains` if they are given. Raises RolloutNotFound."""
    rows = RolloutRow.objects.whole().filter(id=rollout)
    row = (rows if domains is None else rows.filter(domain_id__in=domains)).first()
    if row is None:
        raise missing_rollout()
    return row.as_value()


def list_rollouts(
    *,
    domains: Collection[DomainId],
    change: PolicyChangeId | None = None,
    after: RolloutId | None = None,
    limit: int | None = None,
) -> list[Rollout]:
    """The rollouts of the domains, newest first, of one change and older than `after` if they are given."""
    rows = RolloutRow.objects.whole().filter(domain_id__in=domains).order_by("-id")
    if change is not None:
        rows = rows.filter(change_id=change)
    if after is not None:
        rows = rows.filter(id__lt=after)
    return [row.as_value() for row in rows[:limit]]


def count_rollouts(*, domains: Collection[DomainId]) -> int:
    """How many rollouts the domains have had."""
    return RolloutRow.objects.filter(domain_id__in=domains).count()


def rollouts_under_way(*, domains: Collection[DomainId] | None = None) -> list[Rollout]:
    """Those that are not over, the oldest first; of all domains if none are given."""
    rows = RolloutRow.objects.under_way().whole().order_by("id")
    return [row.as_value() for row in (rows if domains is None else rows.filter(domain_id__in=domains))]


def in_present_wave(*, rollout: Rollout, devices: Collection[DeviceId]) -> set[DeviceId]:
    """Those of the devices that came with the rollout's present wave, wherever they connect."""
    if rollout.waves.split is Split.BROKER:
        return set(devices)
    groups: dict[DeviceId, set[str]] = {device: set() for device in devices}
    if rollout.waves.split is Split.GROUP:
        named = [name for part in rollout.waves.parts for name in part]
        member = DeviceRow.groups.through.objects.filter(group__name__in=named).order_by()
        left = iter(devices)
        while some := list(islice(left, _AT_ONCE)):
            for device, name in member.filter(device_id__in=some).values_list("device_id", "group__name"):
                groups[DeviceId(device)].add(name)
    return {
        device for device, names in groups.items() if rollout.waves.wave_of(device=device, groups=names) == rollout.wave
    }


@dataclass(frozen=True, slots=True)
class Overlay:
    """What holds in place of the tables for those to whom the rollout has come, `until` a binding begins or ends."""

    rollout: Rollout
    policy: PolicyInForce
    until: datetime

    def policy_of(self, device: Device, broker: UUID | None) -> tuple[BoundRule, ...] | None:
        """The device's policy on that broker; None if it is that of the tables."""
        has_come = self.rollout.has_come_to(device=device.id, groups=device.groups, broker=broker)
        return self.policy.policy_of(device) if has_come else None


def find_overlay(*, domain: DomainId, now: datetime) -> Overlay | None:
    """What a rollout lays over the policy of the domain; None if none is under way. One query in that case."""
    row = RolloutRow.objects.under_way().whole().filter(domain_id=domain).first()
    if row is None:
        return None
    rollout = row.as_value()
    kept = _in_force(row, rollout, now=now)
    return Overlay(rollout, kept.policy, kept.until)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A document made ready, which holds from one moment until another."""

    since: datetime
    until: datetime
    policy: PolicyInForce


_kept: dict[tuple[UUID, bool], _Kept] = {}
"""By rollout, and whether it is in its last wave: while it is under way nobody changes policy, nor what it brings."""


def _in_force(row: RolloutRow, rollout: Rollout, *, now: datetime) -> _Kept:
    key = rollout.id, rollout.is_in_last_wave
    kept = _kept.get(key)
    if kept is None or not kept.since <= now < kept.until:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        kept = _kept[key] = _make_ready(row, rollout, now=now)
    return kept


def _make_ready(row: RolloutRow, rollout: Rollout, *, now: datetime) -> _Kept:
    document, known = from_kept(row.change.document), policy_now(domain=rollout.domain)
    changed = [role.name for role in differences(known.document, document).roles_changed]
    mixed = rollout.waves.split is not Split.BROKER and not rollout.is_in_last_wave
    policy = PolicyInForce(
        document,
        rule_ids={(role.name, RuleSpec.of(rule)): rule.id for role in known.roles.values() for rule in role.rules},
        binding_ids=known.bindings,
        now=now,
        # Brokers that write a role once for all who have it would mix its two versions. Own rules are of one alone.
        aliases={name: f"{name}@{rollout.number}" for name in changed if mixed and holder_of(name) is None},
    )
    boundaries = [moment for binding in document.bindings for moment in binding.window.boundaries_after(now)]
    return _Kept(since=now, until=min(boundaries, default=FOR_EVER), policy=policy)
