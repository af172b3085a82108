"""The values of the fleet: a device has an immutable id, and a name, an auth id and a client id beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from acl.core.values import BoundRule, Principal
from devices.core.policy_changes import ApprovalRule
from kernel.core.ids import DomainId
from pki.core.values import CertificateId

DeviceId = NewType("DeviceId", UUID)
DeviceTypeId = NewType("DeviceTypeId", UUID)
GroupId = NewType("GroupId", UUID)
BindingId = NewType("BindingId", UUID)
CredentialId = NewType("CredentialId", UUID)
EnrolmentProfileId = NewType("EnrolmentProfileId", UUID)
EnrolmentTokenId = NewType("EnrolmentTokenId", UUID)
EnrolmentRequestId = NewType("EnrolmentRequestId", UUID)

AttributeValue = str | int | float | bool


class PrincipalKind(StrEnum):
    """What is judged by policy: a device, or an application that connects to brokers."""

    DEVICE = "device"
    APPLICATION = "application"


class DeviceState(StrEnum):
    """The life of a device."""

    PRE_REGISTERED = "pre-registered"
    ENROLLING = "enrolling"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"
    DECOMMISSIONED = "decommissioned"


class CredentialState(StrEnum):
    """The life of a credential."""

    STAGED = "staged"
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"
    EXPIRED = "expired"


LIVE_CREDENTIALS = frozenset({CredentialState.STAGED, CredentialState.ACTIVE, CredentialState.RETIRING})
"""The states in which a credential, or a password, proves its device."""


class RequestState(StrEnum):
    """How far an enrolment request has come."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A protected partition of the fleet."""

    id: DomainId
    slug: str
    name: str
    quarantine_role: UUID | None
    policy_approval: ApprovalRule = ApprovalRule.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A principal: a machine identity, or an application, which has neither type nor hardware serial nor attributes.

    `device_type` is empty for an application, `hardware_serial` also if it is not recorded.
    """

    id: DeviceId
    kind: PrincipalKind = PrincipalKind.DEVICE
    domain: DomainId
    domain_slug: str
    name: str
    auth_id: str
    client_id: str
    state: DeviceState
    device_type: str
    hardware_serial: str
    attributes: Mapping[str, AttributeValue]
    groups: tuple[str, ...]
    created_at: datetime
    enrolled_at: datetime | None

    @property
    def holder(self) -> str:
        """What pki calls it."""
        return holder_of(self.kind, self.id)


def holder_of(kind: PrincipalKind, id: DeviceId) -> str:
    """What pki calls the principal, such as `device:<id>`."""
    return f"{kind.value}:{id}"


def principal_held(holder: str) -> DeviceId | None:
    """The principal that pki calls so, or None if it is somebody else."""
    kind, _, id = holder.partition(":")
    try:
        return DeviceId(UUID(id)) if kind in set(PrincipalKind) else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate that proves a device."""

    id: CredentialId
    device: DeviceId
    certificate: CertificateId
    state: CredentialState
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSubject:
    """A device as brokers judge it: `policy` is empty unless it is active, or quarantined with its domain's role."""

    device: Device
    principal: Principal
    policy: tuple[BoundRule, ...]
