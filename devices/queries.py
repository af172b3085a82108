"""Reading the fleet."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import TruncWeek

from acl import queries as roles
from acl.core.values import BindingRef, BoundRule, CertificateFields, Principal, RoleId
from devices.core.attributes import ATTRIBUTE_NAME
from devices.core.values import (
    AttributeValue,
    BindingId,
    Credential,
    CredentialState,
    Device,
    DeviceId,
    DeviceState,
    DeviceSubject,
    Domain,
    EnrolmentProfileId,
    EnrolmentRequestId,
    EnrolmentTokenId,
    GroupId,
    RequestState,
)
from devices.models import Binding, DeviceType, EnrolmentProfile, EnrolmentRequest, EnrolmentToken, Group
from devices.models import Credential as CredentialRow
from devices.models import Device as DeviceRow
from devices.models import Domain as DomainRow
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from pki.core.values import CertificateId, IssuerId


class UnknownDevice(NotFound):
    """There is no such device, or none that may be seen."""

    code = "device-unknown"


class UnknownDomain(NotFound):
    """There is no such domain."""

    code = "domain-unknown"


def list_domains() -> list[Domain]:
    """Every domain, by slug."""
    return [row.as_value() for row in DomainRow.objects.order_by("slug")]


def get_domain(*, slug: str = "", id: DomainId | None = None) -> Domain:
    """The domain of that slug or id. Raises UnknownDomain."""
    row = DomainRow.objects.filter(id=id).first() if id else DomainRow.objects.filter(slug=slug).first()
    if row is None:
        raise UnknownDomain(f"There is no domain {slug or id}.")
    return row.as_value()


def get_device(*, device: DeviceId, domains: Collection[DomainId] | None = None) -> Device:
    """The device of that id, in one of `domains` if they are given. Raises UnknownDevice."""
    rows = DeviceRow.objects.whole().filter(id=device)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownDevice("There is no such device: list the devices to see those there are.")
    return row.as_value()


def find_device_by_auth_id(*, domain: DomainId, auth_id: str) -> Device | None:
    """The device that authenticates by that name in the domain, or None."""
    row = DeviceRow.objects.whole().filter(domain_id=domain, auth_id=auth_id).first()
    return row.as_value() if row else None


def find_device_by_name(*, domain: DomainId, name: str) -> Device | None:
    """The device of that name in the domain, or None."""
    row = DeviceRow.objects.whole().filter(domain_id=domain, name=name).first()
    return row.as_value() if row else None


def device_of_certificate(*, certificate: CertificateId) -> DeviceId | None:
    """The device that has the certificate as a live credential, or None."""
    live = [CredentialState.ACTIVE, CredentialState.RETIRING, CredentialState.STAGED]
    rows = CredentialRow.objects.filter(certificate_id=certificate, state__in=live)
    found = rows.values_list("device_id", flat=True).first()
    return DeviceId(found) if found else None


def credentials_of(*, device: DeviceId) -> list[Credential]:
    """The device's credentials, the newest first."""
    return [row.as_value() for row in CredentialRow.objects.filter(device_id=device).order_by("-id")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """What a list of devices is narrowed to; what is empty does not narrow. `name` is a prefix.

    A text among `attributes` also finds the number or truth value that it spells.
    """

    state: str = ""
    device_type: str = ""
    group: str = ""
    name: str = ""
    attributes: Mapping[str, AttributeValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePage:
    """A page of devices by (name, id). `has_more`: there are others beyond it in the direction of travel."""

    devices: tuple[Device, ...]
    has_more: bool


Place = tuple[str, DeviceId]
_NUMBER = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,16})?")


def list_devices(
    *,
    domains: Collection[DomainId],
    narrowed: DeviceFilter | None = None,
    after: Place | None = None,
    before: Place | None = None,
    limit: int = 100,
) -> DevicePage:
    """Devices by name beyond `after`, or the last ones ahead of `before`; at most `limit`."""
    rows = _narrow(DeviceRow.objects.whole().filter(domain_id__in=domains), narrowed or DeviceFilter())
    if before is not None:
        name, device = before
        rows = rows.filter(name__lte=name).exclude(name=name, id__gte=device)
        found = list(rows.order_by("-name", "-id")[: limit + 1])
        return DevicePage(devices=tuple(row.as_value() for row in reversed(found[:limit])), has_more=len(found) > limit)
    if after is not None:
        name, device = after
        rows = rows.filter(name__gte=name).exclude(name=name, id__lte=device)
    found = list(rows.order_by("name", "id")[: limit + 1])
    return DevicePage(devices=tuple(row.as_value() for row in found[:limit]), has_more=len(found) > limit)


def _narrow(rows: Any, narrowed: DeviceFilter) -> Any:
    if narrowed.state:
        rows = rows.filter(state=narrowed.state)
    if narrowed.device_type:
        rows = rows.filter(device_type__name=narrowed.device_type)
    if narrowed.group:
        rows = rows.filter(groups__name=narrowed.group)
    if narrowed.name:
        rows = rows.filter(name__gte=narrowed.name, name__lt=narrowed.name + "\U0010ffff")
    for name, value in (narrowed.attributes or {}).items():
        if not ATTRIBUTE_NAME.fullmatch(name):
            return rows.none()
        rows = rows.filter(**{f"attributes__{name}__in": _readings(value)})
    return rows


def _readings(value: AttributeValue) -> list[AttributeValue]:
    """The values that a text in an address can mean: itself, a truth value, a number."""
    if not isinstance(value, str):
        return [value]
    found: list[AttributeValue] = [value]
    if value in {"true", "false"}:
        found.append(value == "true")
    if _NUMBER.fullmatch(value):
        found.append(int(value) if value.lstrip("-").isdigit() else float(value))
    return found


APPROXIMATE_FROM = 10_000


def count_devices(*, domains: Collection[DomainId], narrowed: DeviceFilter | None = None) -> int:
    """How many there are; counted up to 10,000 and no further, so that a million cost no more."""
    rows = _narrow(DeviceRow.objects.filter(domain_id__in=domains), narrowed or DeviceFilter())
    return int(rows.order_by()[:APPROXIMATE_FROM].count())


def count_by_state(*, domains: Collection[DomainId]) -> dict[DeviceState, int]:
    """How many devices are in each state."""
    rows = DeviceRow.objects.filter(domain_id__in=domains).order_by().values_list("state").annotate(Count("id"))
    counted = {DeviceState(state): count for state, count in rows}
    return {state: counted.get(state, 0) for state in DeviceState}


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRow:
    """A role given to something: `via` is device, group, device_type or domain; `target` is its name."""

    id: BindingId
    domain: DomainId
    role: RoleId
    via: str
    target: str
    target_id: str


def list_bindings(*, domains: Collection[DomainId], role: RoleId | None = None) -> list[BindingRow]:
    """Every binding of the domains, of one role if it is given."""
    rows = Binding.objects.select_related("device", "group", "device_type", "domain").filter(domain_id__in=domains)
    return [_binding(row) for row in (rows.filter(role_id=role) if role else rows).order_by("id")]


def _binding(row: Binding) -> BindingRow:
    via, target, target_id = _target(row)
    return BindingRow(
        id=BindingId(row.id),
        domain=DomainId(row.domain_id),
        role=RoleId(row.role_id),
        via=via,
        target=target,
        target_id=target_id,
    )


def _target(row: Binding) -> tuple[str, str, str]:
    if row.device:
        return "device", row.device.name, str(row.device_id)
    if row.group:
        return "group", row.group.name, str(row.group_id)
    if row.device_type:
        return "device_type", row.device_type.name, str(row.device_type_id)
    return "domain", row.domain.slug, str(row.domain_id)


def list_groups(*, domains: Collection[DomainId]) -> list[tuple[str, str, str, int]]:
    """(id, domain's slug, name, number of members) of each group, by name."""
    rows = Group.objects.filter(domain_id__in=domains).annotate(size=Count("members")).order_by("name", "id")
    return [(str(row.id), row.domain.slug, row.name, row.size) for row in rows.select_related("domain")]


def list_device_types(*, domains: Collection[DomainId]) -> list[tuple[str, str, str, Mapping[str, Any]]]:
    """(id, domain's slug, name, schema) of each device type, by name."""
    rows = DeviceType.objects.filter(domain_id__in=domains).select_related("domain").order_by("name", "id")
    return [(str(row.id), row.domain.slug, row.name, row.schema) for row in rows]


def subject_of(*, device: DeviceId) -> DeviceSubject:
    """The device with its principal and the policy in force for it. Raises UnknownDevice."""
    row = DeviceRow.objects.whole().filter(id=device).first()
    if row is None:
        raise UnknownDevice("There is no such device.")
    [subject] = _subjects([row])
    return subject


def iterate_subjects(*, domain: DomainId, after: str = "", chunk: int = 500) -> Iterator[DeviceSubject]:
    """Every device of the domain by auth id, beyond `after`; a fixed number of queries for each `chunk`."""
    while True:
        rows = list(DeviceRow.objects.whole().filter(domain_id=domain, auth_id__gt=after).order_by("auth_id")[:chunk])
        if not rows:
            return
        yield from _subjects(rows)
        after = rows[-1].auth_id


def _subjects(rows: list[DeviceRow]) -> Iterator[DeviceSubject]:
    """Subjects of devices of one domain."""
    domain = rows[0].domain
    bindings = _bindings_for(rows)
    wanted = {RoleId(binding.role_id) for binding in bindings}
    if domain.quarantine_role_id:
        wanted.add(RoleId(domain.quarantine_role_id))
    by_id = roles.roles_by_id(ids=wanted)
    fields = _certificate_fields(rows)
    for row in rows:
        policy: list[BoundRule] = []
        if row.state == DeviceState.QUARANTINED and domain.quarantine_role_id:
            role = by_id[RoleId(domain.quarantine_role_id)]
            policy = [BoundRule(rule=rule, role_name=role.name) for rule in role.rules]
        elif row.state == DeviceState.ACTIVE:
            policy = [bound for binding in bindings if _reaches(binding, row) for bound in _bound(binding, by_id)]
        device = row.as_value()
        yield DeviceSubject(device=device, principal=_principal(device, fields.get(device.id)), policy=tuple(policy))


def _bindings_for(rows: Iterable[DeviceRow]) -> list[Binding]:
    rows = list(rows)
    groups = {group.id for row in rows for group in row.groups.all()}
    reach = (
        Q(whole_domain=True)
        | Q(device_id__in=[row.id for row in rows])
        | Q(group_id__in=groups)
        | Q(device_type_id__in={row.device_type_id for row in rows})
    )
    found = Binding.objects.filter(reach, domain_id=rows[0].domain_id).order_by("id")
    return list(found.select_related("device", "group", "device_type", "domain"))


def _reaches(binding: Binding, row: DeviceRow) -> bool:
    if binding.whole_domain:
        return True
    if binding.device_id:
        return binding.device_id == row.id
    if binding.group_id:
        return any(group.id == binding.group_id for group in row.groups.all())
    return binding.device_type_id == row.device_type_id


def _bound(binding: Binding, by_id: Mapping[RoleId, Any]) -> list[BoundRule]:
    via, target, _ = _target(binding)
    ref = BindingRef(id=binding.id, via=via, target=target)
    role = by_id[RoleId(binding.role_id)]
    return [BoundRule(rule=rule, role_name=role.name, binding=ref) for rule in role.rules]


def _certificate_fields(rows: Iterable[DeviceRow]) -> dict[DeviceId, CertificateFields]:
    """What templates may take from each device's newest active certificate."""
    live = CredentialRow.objects.filter(device_id__in=[row.id for row in rows], state=CredentialState.ACTIVE)
    found = live.order_by("id").values_list(
        "device_id", "certificate__serial", "device__auth_id", "device__domain__slug"
    )
    return {
        DeviceId(device): CertificateFields(
            cn=auth_id, serial=serial, san_uri=f"urn:gatehouse:{domain}:device:{device}"
        )
        for device, serial, auth_id, domain in found
    }


def _principal(device: Device, certificate: CertificateFields | None) -> Principal:
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


def count_ending_by_week(*, domains: Collection[DomainId], begin: datetime, by: datetime) -> dict[datetime, int]:
    """How many active credentials end from `begin` until before `by`, for each week's Monday (UTC) that has any."""
    rows = CredentialRow.objects.filter(
        device__domain_id__in=domains, state=CredentialState.ACTIVE, not_after__gte=begin, not_after__lt=by
    )
    weeks = rows.annotate(week=TruncWeek("not_after", tzinfo=UTC)).values("week").annotate(count=Count("id"))
    return {row["week"]: row["count"] for row in weeks.order_by("week")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """An enrolment token without its secret."""

    id: EnrolmentTokenId
    domain: DomainId
    profile: str
    uses: int
    max_uses: int
    created_at: datetime
    expires_at: datetime
    allowed_networks: tuple[str, ...]
    last_used_at: datetime | None
    revoked_at: datetime | None


def list_enrolment_tokens(*, domains: Collection[DomainId]) -> list[TokenRow]:
    """The enrolment tokens of the domains, the newest first."""
    rows = EnrolmentToken.objects.select_related("profile").filter(profile__domain_id__in=domains).order_by("-id")
    return [
        TokenRow(
            id=EnrolmentTokenId(row.id),
            domain=DomainId(row.profile.domain_id),
            profile=row.profile.name,
            uses=row.uses,
            max_uses=row.max_uses,
            created_at=row.created_at,
            expires_at=row.expires_at,
            allowed_networks=tuple(row.allowed_networks),
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """An enrolment profile."""

    id: EnrolmentProfileId
    domain: DomainId
    name: str
    device_type: str
    needs_approval: bool


def list_enrolment_profiles(*, domains: Collection[DomainId]) -> list[ProfileRow]:
    """The enrolment profiles of the domains, by name."""
    rows = EnrolmentProfile.objects.select_related("device_type").filter(domain_id__in=domains).order_by("name", "id")
    return [
        ProfileRow(
            id=EnrolmentProfileId(row.id),
            domain=DomainId(row.domain_id),
            name=row.name,
            device_type=row.device_type.name,
            needs_approval=row.needs_approval,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """An enrolment request and its evidence."""

    id: EnrolmentRequestId
    domain: DomainId
    profile: str
    name: str
    state: RequestState
    hardware_serial: str
    address: str
    public_key_sha256: str
    device: DeviceId | None
    created_at: datetime


def list_enrolment_requests(*, domains: Collection[DomainId], state: str = "", limit: int = 500) -> list[RequestRow]:
    """The newest enrolment requests of the domains, at most `limit`."""
    rows = EnrolmentRequest.objects.select_related("profile").filter(profile__domain_id__in=domains).order_by("-id")
    if state:
        rows = rows.filter(state=state)
    return [
        RequestRow(
            id=EnrolmentRequestId(row.id),
            domain=DomainId(row.profile.domain_id),
            profile=row.profile.name,
            name=row.name,
            state=RequestState(row.state),
            hardware_serial=row.hardware_serial,
            address=row.address,
            public_key_sha256=row.public_key_sha256,
            device=DeviceId(row.device_id) if row.device_id else None,
            created_at=row.created_at,
        )
        for row in rows[:limit]
    ]


def enrolment_request_exists(*, request: EnrolmentRequestId, domains: Collection[DomainId]) -> bool:
    """Whether there is such a request in one of the domains."""
    return EnrolmentRequest.objects.filter(id=request, profile__domain_id__in=domains).exists()


def binding_exists(*, binding: BindingId, domains: Collection[DomainId]) -> bool:
    """Whether there is such a binding in one of the domains."""
    return Binding.objects.filter(id=binding, domain_id__in=domains).exists()


def group_exists(*, group: GroupId, domains: Collection[DomainId]) -> bool:
    """Whether there is such a group in one of the domains."""
    return Group.objects.filter(id=group, domain_id__in=domains).exists()


def enrolment_token_exists(*, token: EnrolmentTokenId, domains: Collection[DomainId]) -> bool:
    """Whether there is such an enrolment token in one of the domains."""
    return EnrolmentToken.objects.filter(id=token, profile__domain_id__in=domains).exists()


def issuer_of(*, domain: DomainId) -> IssuerId | None:
    """The CA that the domain's certificates come from, or None while none is set."""
    found = DomainRow.objects.values_list("issuer_id", flat=True).get(id=domain)
    return IssuerId(found) if found else None
