"""Devices as brokers judge them, each read against what is the same for many of its domain and was read before.

It is for those who hear of every change, and so know until when a ground holds. Everybody else asks subjects.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q

from acl import queries as roles
from acl.core.values import BoundRule, RoleId
from devices.core.values import Device, DeviceId, DeviceState, DeviceSubject, PrincipalKind
from devices.core.windows import Window, WindowState
from devices.models import Binding
from devices.models import Credential as CredentialRow
from devices.models import Device as DeviceRow
from devices.models import Domain as DomainRow
from devices.models import Password as PasswordRow
from devices.queries.rollouts import find_overlay, rollouts_under_way
from devices.queries.subjects import ActiveCertificate, active_certificates, bound_rules, principal_of, unbound_rules
from kernel.core.clock import FOR_EVER
from kernel.core.ids import DomainId
from pki.core.bounded_cache import BoundedCache

MOST_WHOLES = 10_000


_BESIDE: dict[str, Any] = {
    "type_name": F("device_type__name"),
    "group": F("groups__id"),
    "group_name": F("groups__name"),
    "has_binding": Exists(Binding.objects.filter(device_id=OuterRef("pk"))),
    "has_credential": Exists(CredentialRow.objects.filter(device_id=OuterRef("pk"))),
    "has_password": Exists(PasswordRow.objects.filter(device_id=OuterRef("pk"))),
}
_OWN = ("id", "kind", "name", "auth_id", "client_id", "state", "hardware_serial", "attributes", "device_type_id")
_TIMES = ("created_at", "enrolled_at")
_ROWS: Any = DeviceRow.objects.order_by("id").annotate(**_BESIDE).values_list(*_OWN, *_TIMES, *_BESIDE, named=True)
"""Made once: that takes Django as long as all else that is done for one device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounded:
    """A device with the policy in force for it, which holds `until` a binding begins or ends (FOR_EVER: none does).

    `certificate` is its newest active one; `is_without_certificate`: it was given a password and never a certificate.
    """

    subject: DeviceSubject
    until: datetime
    certificate: ActiveCertificate | None
    is_without_certificate: bool


@dataclass(frozen=True, slots=True)
class _Bound:
    """What a binding gives, and when."""

    id: UUID
    window: Window
    rules: tuple[BoundRule, ...]


@dataclass(frozen=True, slots=True)
class _Whole:
    """What several bindings give together until one begins or ends."""

    rules: tuple[BoundRule, ...]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A device as its table and those beside it have it."""

    device: Device
    type: UUID | None
    groups: tuple[UUID, ...]
    has_binding: bool
    has_credential: bool
    is_without_certificate: bool


class PolicyGround:
    """The policy of one domain, apart from what is a single device's own; thread-safe.

    What is given to a group or a type is read when the first device of it is asked about, and kept.
    """

    def __init__(self, *, domain: DomainId) -> None:
        """Reads what holds for all of the domain."""
        row = DomainRow.objects.get(id=domain)
        self._domain, self._slug = domain, row.slug
        self._is_rolled_out = bool(rollouts_under_way(domains=[domain]))
        quarantine = roles.roles_by_id(ids=[RoleId(row.quarantine_role_id)] if row.quarantine_role_id else [])
        self._quarantine = tuple(rule for role in quarantine.values() for rule in unbound_rules(role))
        self._bound: dict[UUID, tuple[_Bound, ...]] = {}
        self._wholes: BoundedCache[tuple[UUID | None, tuple[UUID, ...]], _Whole] = BoundedCache(MOST_WHOLES)

    def devices(self, *, auth_ids: Collection[str], broker: UUID | None, now: datetime) -> list[Grounded]:
        """Those devices and applications of the domain that there are, as they are now; a fixed number of queries.

        One, if the places that they are in were met before; one more for certificates, own rules, or a rollout.
        """
        rows = _rows(self._domain, self._slug, auth_ids)
        own = self._read_bindings(rows, now)
        overlay = find_overlay(domain=self._domain, now=now) if rows and self._is_rolled_out else None
        certificates = active_certificates([row.device.id for row in rows if row.has_credential])
        found = []
        for row in rows:
            device, certificate = row.device, certificates.get(row.device.id)
            laid_over = overlay.policy_of(device, broker) if overlay else None
            whole = self._whole(row, own.get(device.id, ()), now)
            # A change that comes in waves brings no windows, but may bring a device into a group that has some.
            policy, until = whole.rules, whole.until
            if overlay is not None and laid_over is not None:
                policy, until = laid_over, min(until, overlay.until)
            principal = principal_of(device, certificate.fields if certificate else None)
            found.append(
                Grounded(
                    subject=DeviceSubject(device=device, principal=principal, policy=policy),
                    until=until,
                    certificate=certificate,
                    is_without_certificate=row.is_without_certificate,
                )
            )
        return found

    def _whole(self, row: _Row, own: Sequence[_Bound], now: datetime) -> _Whole:
        """What the tables give to the device."""
        if row.device.state is DeviceState.QUARANTINED:
            return _Whole(self._quarantine, FOR_EVER)
        if row.device.state is not DeviceState.ACTIVE:
            return _Whole((), FOR_EVER)
        key = (row.type, row.groups)
        whole = None if own else self._wholes.get(key)
        if whole is None or now >= whole.until:
            places = _places(row, self._domain)
            whole = _together([*own, *chain.from_iterable(self._bound[place] for place in places)], now)
            if not own:
                self._wholes.put(key, whole)
        return whole

    def _read_bindings(self, rows: Iterable[_Row], now: datetime) -> dict[UUID, tuple[_Bound, ...]]:
        """What is given to these devices themselves; what is given to places of theirs that are new here is kept."""
        new = {place for row in rows for place in _places(row, self._domain) if place not in self._bound}
        own = {row.device.id for row in rows if row.has_binding}
        found: dict[UUID, list[_Bound]] = {place: [] for place in (*new, *own)}
        for place, bound in _bound_to(self._domain, new, own, now) if found else ():
            found[place].append(bound)
        for place in new:
            self._bound.setdefault(place, tuple(found[place]))
        return {device: tuple(found[device]) for device in own}


def _places(row: _Row, domain: DomainId) -> tuple[UUID, ...]:
    """Where else than to the device itself roles may be given, so that it has them."""
    return (domain, *([row.type] if row.type else []), *row.groups)


def _together(bound: Iterable[_Bound], now: datetime) -> _Whole:
    """What is in force of it, in the order of the bindings."""
    in_order = sorted(bound, key=lambda each: each.id)
    boundaries = [moment for each in in_order for moment in each.window.boundaries_after(now)]
    in_force = [each.rules for each in in_order if each.window.state(now) is WindowState.IN_FORCE]
    return _Whole(tuple(chain.from_iterable(in_force)), min(boundaries, default=FOR_EVER))


def _bound_to(
    domain: DomainId, places: Collection[UUID], devices: Collection[UUID], now: datetime
) -> Iterator[tuple[UUID, _Bound]]:
    """What is given to these, and is not over, with whom or what it is given to."""
    reach = Q(device_id__in=devices) | Q(group_id__in=places) | Q(device_type_id__in=places)
    if domain in places:
        reach |= Q(whole_domain=True)
    rows = Binding.objects.filter(reach, domain_id=domain).not_ended(now=now).order_by("id")
    found = list(rows.select_related("device", "group", "device_type", "domain"))
    by_id = roles.roles_by_id(ids={RoleId(row.role_id) for row in found})
    for row in found:
        place = row.device_id or row.group_id or row.device_type_id or row.domain_id
        yield place, _Bound(row.id, row.window, bound_rules(row, by_id))


def _rows(domain: DomainId, slug: str, auth_ids: Collection[str]) -> list[_Row]:
    """The devices by id; one query, in which each comes once for each of its groups."""
    devices: dict[UUID, Any] = {}
    groups: dict[UUID, dict[UUID, str]] = {}
    for row in _ROWS.filter(domain_id=domain, auth_id__in=auth_ids):
        devices[row.id] = row
        groups.setdefault(row.id, {}).update({row.group: row.group_name} if row.group else {})
    return [
        _Row(
            device=_device(row, domain, slug, tuple(sorted(groups[id].values()))),
            type=row.device_type_id,
            groups=tuple(sorted(groups[id])),
            has_binding=row.has_binding,
            has_credential=row.has_credential,
            is_without_certificate=row.has_password and not row.has_credential,
        )
        for id, row in devices.items()
    ]


def _device(row: Any, domain: DomainId, slug: str, groups: tuple[str, ...]) -> Device:
    return Device(
        id=DeviceId(row.id),
        kind=PrincipalKind(row.kind),
        domain=domain,
        domain_slug=slug,
        name=row.name,
        auth_id=row.auth_id,
        client_id=row.client_id,
        state=DeviceState(row.state),
        device_type=row.type_name or "",
        hardware_serial=row.hardware_serial,
        attributes=row.attributes,
        groups=groups,
        created_at=row.created_at,
        enrolled_at=row.enrolled_at,
    )
