"""How devices become known: profiles, tokens, requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from devices.core.values import (
    AttributeValue,
    DeviceId,
    EnrolmentProfileId,
    EnrolmentRequestId,
    EnrolmentTokenId,
    RequestState,
)
from devices.models import EnrolmentProfile, EnrolmentRequest, EnrolmentToken
from kernel.conf import master_key
from kernel.core.ids import DomainId


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


def older_token_ends(*, now: datetime) -> list[datetime]:
    """When those enrolment tokens end that are good still, and whose hashes hang on an older master key."""
    rows = EnrolmentToken.objects.filter(expires_at__gt=now, revoked_at=None).values_list("secret_hash", "expires_at")
    return [ends_at for stored, ends_at in rows if not master_key().current.made(bytes(stored))]


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


def enrolment_token_exists(*, token: EnrolmentTokenId, domains: Collection[DomainId]) -> bool:
    """Whether there is such an enrolment token in one of the domains."""
    return EnrolmentToken.objects.filter(id=token, profile__domain_id__in=domains).exists()


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
    """An enrolment request and its evidence. Name, serial and attributes are as the device tells them."""

    id: EnrolmentRequestId
    domain: DomainId
    profile: str
    name: str
    state: RequestState
    hardware_serial: str
    attributes: Mapping[str, AttributeValue]
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
            attributes=row.attributes,
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
