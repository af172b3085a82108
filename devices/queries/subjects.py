"""Devices as brokers judge them: the principal, and the policy in force for it.

While a change comes in waves, that depends on the broker: name the one that is asked about. Without one it is the
policy before, where waves are of brokers, until the last has come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from uuid import UUID

from django.db.models import Q

from acl import queries as roles
from acl.core.values import BindingRef, BoundRule, CertificateFields, Principal, Role, RoleId
from devices.core.values import CredentialState, Device, DeviceId, DeviceState, DeviceSubject
from devices.core.windows import ALWAYS
from devices.models import Binding, BindingQuerySet
from devices.models import Credential as CredentialRow
from devices.models import Device as DeviceRow
from devices.queries.bindings import BindingRow, binding_row, target_of
from devices.queries.devices import UnknownDevice
from devices.queries.placeholder_sql import CERTIFICATE_NAMES
from devices.queries.rollouts import find_overlay
from kernel.core.ids import DomainId
from pki.core.values import CertificateState, IssuerId

_MOST_ALIKE = 16_384


def subject_of(*, device: DeviceId, broker: UUID | None = None, now: datetime) -> DeviceSubject:
    """The device with its principal and the policy in force for it at that moment. Raises UnknownDevice."""
    row = DeviceRow.objects.whole().filter(id=device).first()
    if row is None:
        raise UnknownDevice("There is no such device.")
    [subject] = _subjects([row], now, broker, _Alike())
    return subject


def timed_bindings(*, device: DeviceId) -> list[BindingRow]:
    """The bindings that reach the device and do not hold always: in force now, still to begin, or ended."""
    rows = map(binding_row, bindings_reaching(DeviceRow.objects.whole().filter(id=device)))
    return [row for row in rows if row.window != ALWAYS]


def next_boundary(*, device: DeviceId, now: datetime) -> datetime | None:
    """When the next binding that reaches the device begins or ends; None if none does. Until then its policy holds.

    While a change comes in waves, which may bring it into groups by query, it is that of any binding of the domain.
    """
    moments = [moment for row in timed_bindings(device=device) for moment in row.window.boundaries_after(now)]
    domains = DeviceRow.objects.filter(id=device).values_list("domain_id", flat=True)
    overlays = [find_overlay(domain=DomainId(domain), now=now) for domain in domains]
    moments += [overlay.until for overlay in overlays if overlay]
    return min(moments, default=None)


def subjects_among(
    *, devices: Collection[DeviceId], broker: UUID | None = None, now: datetime, before_rollout: bool = False
) -> Iterator[DeviceSubject]:
    """Those of these devices of one domain that exist, by auth id; a fixed number of queries.

    `before_rollout`: with the policy before any change that comes in waves, as all that is asked of tables.
    """
    rows = list(DeviceRow.objects.whole().filter(id__in=devices).order_by("auth_id"))
    if rows:
        yield from _subjects(rows, now, broker, _Alike(), before_rollout=before_rollout)


def iterate_subjects(
    *, domain: DomainId, broker: UUID | None = None, now: datetime, after: str = "", chunk: int = 500
) -> Iterator[DeviceSubject]:
    """Every device of the domain by auth id, beyond `after`; a fixed number of queries for each `chunk`.

    Policies that are alike are mostly one tuple.
    """
    alike = _Alike()
    while True:
        rows = list(DeviceRow.objects.whole().filter(domain_id=domain, auth_id__gt=after).order_by("auth_id")[:chunk])
        if not rows:
            return
        yield from _subjects(rows, now, broker, alike)
        after = rows[-1].auth_id
        if alike.is_full:
            alike = _Alike()


class _Alike:
    """Rules and policies that are equal as one value: who compiles them knows at a glance what was there before."""

    def __init__(self) -> None:
        self._parts: dict[tuple[BoundRule, ...], tuple[BoundRule, ...]] = {}
        self._wholes: dict[tuple[int, ...], tuple[BoundRule, ...]] = {}

    @property
    def is_full(self) -> bool:
        return len(self._wholes) >= _MOST_ALIKE

    def part(self, rules: tuple[BoundRule, ...]) -> tuple[BoundRule, ...]:
        """The first that was equal to these."""
        return self._parts.setdefault(rules, rules)

    def whole(self, parts: list[tuple[BoundRule, ...]]) -> tuple[BoundRule, ...]:
        """What they are together. Each is what `part` gave: it is kept, so its id is its own."""
        key = tuple(map(id, parts))
        if key not in self._wholes:
            self._wholes[key] = tuple(chain.from_iterable(parts))
        return self._wholes[key]


def _subjects(
    rows: list[DeviceRow], now: datetime, broker: UUID | None, alike: _Alike, *, before_rollout: bool = False
) -> Iterator[DeviceSubject]:
    """Subjects of devices of one domain."""
    domain = rows[0].domain
    overlay = None if before_rollout else find_overlay(domain=DomainId(domain.id), now=now)
    bindings = list(bindings_reaching(rows).in_force(now=now))
    wanted = {RoleId(binding.role_id) for binding in bindings}
    if domain.quarantine_role_id:
        wanted.add(RoleId(domain.quarantine_role_id))
    by_id = roles.roles_by_id(ids=wanted)
    bound = [(binding, alike.part(bound_rules(binding, by_id))) for binding in bindings]
    quarantine = (
        alike.part(unbound_rules(by_id[RoleId(domain.quarantine_role_id)])) if domain.quarantine_role_id else ()
    )
    certificates = active_certificates([row.id for row in rows])
    for row in rows:
        device = row.as_value()
        policy = overlay.policy_of(device, broker) if overlay else None
        if policy is None:
            policy = alike.whole(_parts(row, bound, quarantine))
        certificate = certificates.get(device.id)
        yield DeviceSubject(
            device=device, principal=principal_of(device, certificate.fields if certificate else None), policy=policy
        )


def _parts(
    row: DeviceRow, bound: Iterable[tuple[Binding, tuple[BoundRule, ...]]], quarantine: tuple[BoundRule, ...]
) -> list[tuple[BoundRule, ...]]:
    """What the tables give to the device."""
    if row.state == DeviceState.QUARANTINED:
        return [quarantine] if quarantine else []
    if row.state != DeviceState.ACTIVE:
        return []
    groups = {group.id for group in row.its_groups}
    return [rules for binding, rules in bound if _reaches(binding, row, groups)]


def bindings_reaching(rows: Iterable[DeviceRow]) -> BindingQuerySet:
    """Every binding to one of these devices of one domain, in whatever way and at whatever time, with its target."""
    rows = list(rows)
    groups = {group.id for row in rows for group in row.its_groups}
    reach = (
        Q(whole_domain=True)
        | Q(device_id__in=[row.id for row in rows])
        | Q(group_id__in=groups)
        | Q(device_type_id__in={row.device_type_id for row in rows})
    )
    found = Binding.objects.filter(reach, domain_id__in={row.domain_id for row in rows}).order_by("id")
    return found.select_related("device", "group", "device_type", "domain")


def _reaches(binding: Binding, row: DeviceRow, groups: Collection[UUID]) -> bool:
    if binding.whole_domain:
        return True
    if binding.device_id:
        return binding.device_id == row.id
    if binding.group_id:
        return binding.group_id in groups
    return binding.device_type_id == row.device_type_id


def bound_rules(binding: Binding, by_id: Mapping[RoleId, Role]) -> tuple[BoundRule, ...]:
    """What the binding gives to whom it reaches; load it with its four relations."""
    via, target, _ = target_of(binding)
    ref = BindingRef(id=binding.id, via=via, target=target)
    role = by_id[RoleId(binding.role_id)]
    return tuple(BoundRule(rule=rule, role_name=role.name, binding=ref) for rule in role.rules)


def unbound_rules(role: Role) -> tuple[BoundRule, ...]:
    """The rules of a role that no binding gives."""
    return tuple(BoundRule(rule=rule, role_name=role.name) for rule in role.rules)


@dataclass(frozen=True, slots=True)
class ActiveCertificate:
    """That of a device's newest active credential, and whose it is; `fields` are what templates may take from it.

    They are empty while it is held or revoked. A certificate that is being replaced is good still and says nothing
    here: what a device may is one policy, whichever of its certificates it shows, and its newest is the last word of
    its issuer.
    """

    holder: str
    issuer: IssuerId
    state: CertificateState
    fields: CertificateFields


def active_certificates(devices: Collection[UUID]) -> dict[DeviceId, ActiveCertificate]:
    """Those of the devices that have one; one query."""
    live = CredentialRow.objects.filter(device_id__in=devices, state=CredentialState.ACTIVE).order_by("id")
    kept = ("holder", "issuer_id", "state", "serial")
    columns = ("device_id", *(f"certificate__{name}" for name in kept), *CERTIFICATE_NAMES)
    found = {}
    for device, holder, issuer, state, serial, *names in live.values_list(*columns):
        is_good = state == CertificateState.ISSUED
        said = {"serial": serial, **dict(zip(CERTIFICATE_NAMES, names, strict=True))} if is_good else {}
        found[DeviceId(device)] = ActiveCertificate(
            holder, IssuerId(issuer), CertificateState(state), CertificateFields(**said)
        )
    return found


def principal_of(device: Device, certificate: CertificateFields | None) -> Principal:
    """Whom policy is about."""
    return Principal(
        id=str(device.id),
        auth_id=device.auth_id,
        client_id=device.client_id,
        username=device.auth_id,
        domain=device.domain_slug,
        device_type=device.device_type,
        groups=device.groups,
        attributes=device.attributes,
        certificate=certificate,
    )
