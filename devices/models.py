"""Tables of the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import F, Q

from devices.core import passwords, policy_changes, rollouts
from devices.core.password_verifier import PasswordVerifier
from devices.core.policy_changes import Approval, ApprovalRule, ChangeState, Person, PolicyChangeId
from devices.core.policy_kept import from_kept
from devices.core.rollouts import Gate, Measured, RolloutId, RolloutState, Split, WaveRecord, Waves
from devices.core.values import (
    LIVE_CREDENTIALS,
    CredentialId,
    CredentialState,
    DeviceId,
    DeviceState,
    PrincipalKind,
    RequestState,
    holder_of,
)
from devices.core.values import (
    Credential as CredentialValue,
)
from devices.core.values import Device as DeviceValue
from devices.core.values import Domain as DomainValue
from devices.core.windows import Window, WindowState
from kernel.core.actor import ActorKind
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from pki.core.certificate_names import LONGEST_NAME
from pki.core.values import CertificateId


def _choices(
    values: type[
        DeviceState
        | PrincipalKind
        | CredentialState
        | RequestState
        | ApprovalRule
        | ChangeState
        | WindowState
        | Split
        | RolloutState
    ],
) -> list[tuple[str, str]]:
    return [(each.value, each.value) for each in values]


class Domain(models.Model):
    """A protected partition of the fleet. `issuer_id` names the CA that its devices get certificates from."""

    id = models.UUIDField(primary_key=True)
    slug = models.CharField(max_length=63, unique=True)
    name = models.CharField(max_length=128)
    issuer = models.ForeignKey("pki.Issuer", on_delete=models.PROTECT, null=True)
    quarantine_role = models.ForeignKey("acl.Role", on_delete=models.PROTECT, null=True)
    policy_approval = models.CharField(max_length=16, choices=_choices(ApprovalRule), default=ApprovalRule.NONE)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(policy_approval__in=[*ApprovalRule]), name="devices_policy_approval")
        ]

    def as_value(self) -> DomainValue:
        """The row as a value."""
        return DomainValue(
            id=DomainId(self.id),
            slug=self.slug,
            name=self.name,
            quarantine_role=self.quarantine_role_id,
            policy_approval=ApprovalRule(self.policy_approval),
        )


class DeviceType(models.Model):
    """A kind of device and the attributes that it declares."""

    id = models.UUIDField(primary_key=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    name = models.CharField(max_length=64)
    schema = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["domain", "name"], name="devices_type_name")]


class Group(models.Model):
    """A set of devices: those that people put in, or those that `query` is true of. It stays what it was made as."""

    id = models.UUIDField(primary_key=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    name = models.CharField(max_length=64)
    query = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["domain", "name"], name="devices_group_name")]


class DeviceQuerySet(models.QuerySet["Device"]):
    def whole(self) -> Self:
        """With all that `as_value` needs, in two queries however many they are."""
        groups = models.Prefetch("groups", to_attr="its_groups")  # a list: a queryset for each row takes longer to make
        return self.select_related("domain", "device_type").prefetch_related(groups)

    def of_kind(self, kind: PrincipalKind) -> Self:
        """Devices only, or applications only; the index of those is found by their lack of a type."""
        rows = self.filter(kind=kind)
        return rows.filter(device_type=None) if kind is PrincipalKind.APPLICATION else rows


class Device(models.Model):
    """A principal: a device, or an application, which has no type. Its name and auth id are reserved for ever.

    `token_epoch` counts how often its access tokens were ended.
    """

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=16, choices=_choices(PrincipalKind), default=PrincipalKind.DEVICE)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    name = models.CharField(max_length=64)
    auth_id = models.CharField(max_length=64)
    client_id = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=_choices(DeviceState))
    device_type = models.ForeignKey(DeviceType, on_delete=models.PROTECT, null=True)
    hardware_serial = models.CharField(max_length=128, blank=True)
    attributes = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    enrolled_at = models.DateTimeField(null=True)
    token_epoch = models.PositiveIntegerField(default=0)

    groups = models.ManyToManyField(Group, related_name="members")
    its_groups: list[Group]  # where it was loaded with `whole()`

    objects = DeviceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain", "name"], name="devices_device_name"),
            models.UniqueConstraint(fields=["domain", "auth_id"], name="devices_device_auth_id"),
            models.UniqueConstraint(fields=["domain", "client_id"], name="devices_device_client_id"),
            models.CheckConstraint(
                name="devices_device_kind",
                condition=Q(kind=PrincipalKind.DEVICE, device_type__isnull=False)
                | Q(kind=PrincipalKind.APPLICATION, device_type=None, hardware_serial=""),
            ),
        ]
        indexes = [
            models.Index(fields=["domain", "state", "name", "kind"], name="devices_device_state"),
            models.Index(fields=["domain", "name"], name="devices_application", condition=Q(device_type=None)),
        ]

    @property
    def holder(self) -> str:
        """What pki calls it."""
        return holder_of(PrincipalKind(self.kind), DeviceId(self.id))

    def as_subject(self) -> Subject:
        """The row as the journal names it; its actions begin with the same words."""
        return Subject(kind=f"devices.{self.kind}", id=str(self.id), label=self.name)

    def as_value(self) -> DeviceValue:
        """The row as a value; load it with `whole()`."""
        return DeviceValue(
            id=DeviceId(self.id),
            kind=PrincipalKind(self.kind),
            domain=DomainId(self.domain_id),
            domain_slug=self.domain.slug,
            name=self.name,
            auth_id=self.auth_id,
            client_id=self.client_id,
            state=DeviceState(self.state),
            device_type=self.device_type.name if self.device_type else "",
            hardware_serial=self.hardware_serial,
            attributes=self.attributes,
            groups=tuple(sorted(group.name for group in self.its_groups)),
            created_at=self.created_at,
            enrolled_at=self.enrolled_at,
        )


class Credential(models.Model):
    """A certificate that proves a device, and the names in it that policy may go by."""

    id = models.UUIDField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="credentials")
    certificate = models.OneToOneField("pki.Certificate", on_delete=models.PROTECT)
    state = models.CharField(max_length=8, choices=_choices(CredentialState))
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    cn = models.CharField(max_length=LONGEST_NAME, blank=True)
    o = models.CharField(max_length=LONGEST_NAME, blank=True)
    ou = models.CharField(max_length=LONGEST_NAME, blank=True)
    san_uri = models.CharField(max_length=LONGEST_NAME, blank=True)
    san_dns = models.CharField(max_length=LONGEST_NAME, blank=True)

    def as_value(self) -> CredentialValue:
        """The row as a value."""
        return CredentialValue(
            id=CredentialId(self.id),
            device=DeviceId(self.device_id),
            certificate=CertificateId(self.certificate_id),
            state=CredentialState(self.state),
            not_before=self.not_before,
            not_after=self.not_after,
        )


class PasswordQuerySet(models.QuerySet["Password"]):
    def good(self, *, now: datetime) -> Self:
        """Those that prove their device at that moment."""
        return self.filter(Q(not_after=None) | Q(not_after__gt=now), state__in=LIVE_CREDENTIALS)

    def ended(self, *, now: datetime) -> Self:
        """Those whose time is over, and nobody was told."""
        return self.filter(not_after__lte=now, state__in=LIVE_CREDENTIALS)


class Password(models.Model):
    """A password that proves a device, of which only what checks it is kept."""

    id = models.UUIDField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="passwords")
    state = models.CharField(max_length=8, choices=_choices(CredentialState))
    verifier = models.JSONField()
    created_at = models.DateTimeField()
    not_after = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    objects = PasswordQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "state"], name="devices_password_one", condition=Q(state__in=sorted(LIVE_CREDENTIALS))
            ),
            models.CheckConstraint(condition=Q(state__in=[*CredentialState]), name="devices_password_state"),
        ]
        indexes = [
            models.Index(
                fields=["not_after"], name="devices_password_ends", condition=Q(state__in=sorted(LIVE_CREDENTIALS))
            )
        ]

    def as_value(self) -> passwords.Password:
        """The row as a value."""
        return passwords.Password(
            id=passwords.PasswordId(self.id),
            device=DeviceId(self.device_id),
            state=CredentialState(self.state),
            created_at=self.created_at,
            not_after=self.not_after,
            last_used_at=self.last_used_at,
            verifier=PasswordVerifier.from_json(self.verifier),
        )


class BindingQuerySet(models.QuerySet["Binding"]):
    def in_force(self, *, now: datetime) -> Self:
        """Those that count at that moment: all others give nobody anything."""
        return self.not_ended(now=now).filter(Q(not_before=None) | Q(not_before__lte=now))

    def not_ended(self, *, now: datetime) -> Self:
        """Those, and those that are still to begin."""
        return self.filter(Q(not_after=None) | Q(not_after__gt=now))

    def untold(self, *, now: datetime) -> Self:
        """Those whose window began or ended, and nobody was told."""
        began = Q(window_told=WindowState.SCHEDULED, not_before__lte=now)
        return self.filter(began | Q(not_after__lte=now) & ~Q(window_told=WindowState.ENDED))


class Binding(models.Model):
    """A role given to exactly one of: a device, a group, a device type, a whole domain.

    It holds from `not_before` until `not_after`. `window_told` is the state of that window of which brokers were told.
    """

    id = models.UUIDField(primary_key=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="+")
    role = models.ForeignKey("acl.Role", on_delete=models.PROTECT)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, null=True)
    group = models.ForeignKey(Group, on_delete=models.CASCADE, null=True)
    device_type = models.ForeignKey(DeviceType, on_delete=models.CASCADE, null=True)
    whole_domain = models.BooleanField(default=False)
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)
    window_told = models.CharField(max_length=16, choices=_choices(WindowState), default=WindowState.IN_FORCE)

    objects = BindingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="devices_binding_one_target",
                condition=(
                    Q(device__isnull=False, group=None, device_type=None, whole_domain=False)
                    | Q(device=None, group__isnull=False, device_type=None, whole_domain=False)
                    | Q(device=None, group=None, device_type__isnull=False, whole_domain=False)
                    | Q(device=None, group=None, device_type=None, whole_domain=True)
                ),
            ),
            models.UniqueConstraint(
                fields=["role", "device"], name="devices_bind_device", condition=Q(device__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["role", "group"], name="devices_bind_group", condition=Q(group__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["role", "device_type"], name="devices_bind_type", condition=Q(device_type__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["role", "domain"], name="devices_bind_domain", condition=Q(whole_domain=True)
            ),
            models.CheckConstraint(
                name="devices_binding_window",
                condition=Q(not_before=None) | Q(not_after=None) | Q(not_before__lt=F("not_after")),
            ),
            models.CheckConstraint(name="devices_binding_told", condition=Q(window_told__in=[*WindowState])),
        ]
        indexes = [
            models.Index(fields=["not_before"], name="devices_binding_begins", condition=Q(not_before__isnull=False)),
            models.Index(fields=["not_after"], name="devices_binding_ends", condition=Q(not_after__isnull=False)),
        ]

    @property
    def window(self) -> Window:
        """When it holds."""
        return Window(not_before=self.not_before, not_after=self.not_after)


class PolicyChange(models.Model):
    """A change of a domain's policy as a whole, from draft to history. `approvals` hold for this very `document`."""

    id = models.UUIDField(primary_key=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=16, choices=_choices(ChangeState), default=ChangeState.DRAFT)
    version = models.PositiveIntegerField(default=1)
    base = models.JSONField()
    document = models.JSONField()
    authors = models.JSONField()
    approvals = models.JSONField(default=list)
    rolls_back = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.JSONField(null=True)
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain", "number"], name="devices_policy_change_number"),
            models.CheckConstraint(condition=Q(state__in=[*ChangeState]), name="devices_policy_change_state"),
            models.CheckConstraint(
                condition=Q(state__in=[ChangeState.DRAFT, ChangeState.APPROVED, ChangeState.ROLLING_OUT], ended_at=None)
                | Q(
                    state__in=[
                        ChangeState.APPLIED,
                        ChangeState.REJECTED,
                        ChangeState.WITHDRAWN,
                        ChangeState.ROLLED_BACK,
                    ],
                    ended_at__isnull=False,
                ),
                name="devices_policy_change_end",
            ),
        ]

    def as_value(self) -> policy_changes.PolicyChange:
        """The row as a value; load it with its domain."""
        return policy_changes.PolicyChange(
            id=PolicyChangeId(self.id),
            domain=DomainId(self.domain_id),
            domain_slug=self.domain.slug,
            number=self.number,
            title=self.title,
            state=ChangeState(self.state),
            version=self.version,
            base=from_kept(self.base),
            document=from_kept(self.document),
            authors=tuple(_person(author) for author in self.authors),
            approvals=tuple(
                Approval(by=_person(approval), at=datetime.fromisoformat(approval["at"])) for approval in self.approvals
            ),
            rolls_back=PolicyChangeId(self.rolls_back_id) if self.rolls_back_id else None,
            created_at=self.created_at,
            changed_at=self.changed_at,
            ended_at=self.ended_at,
            ended_by=_person(self.ended_by) if self.ended_by else None,
            note=self.note,
        )


class RolloutQuerySet(models.QuerySet["Rollout"]):
    def under_way(self) -> Self:
        """Those that are not over."""
        return self.filter(state__in=[RolloutState.RUNNING, RolloutState.PAUSED])

    def whole(self) -> Self:
        """With all that `as_value` needs, and without the documents of the change."""
        return self.select_related("domain", "change").defer("change__base", "change__document")


class Rollout(models.Model):
    """A change that comes in waves. The waves up to `wave` have come; at most one of a domain is under way.

    `watched_until`: somebody looks at its gates, so nobody else does before then.
    """

    id = models.UUIDField(primary_key=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="+")
    change = models.ForeignKey(PolicyChange, on_delete=models.PROTECT, related_name="+")
    split = models.CharField(max_length=16, choices=_choices(Split))
    parts = models.JSONField()
    gate = models.JSONField()
    state = models.CharField(max_length=16, choices=_choices(RolloutState), default=RolloutState.RUNNING)
    version = models.PositiveIntegerField(default=1)
    wave = models.PositiveIntegerField(default=0)
    seq = models.BigIntegerField(default=0)
    records = models.JSONField()
    heard = models.JSONField(default=dict)
    note = models.TextField(blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    watched_until = models.DateTimeField(null=True)

    objects = RolloutQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["domain"],
                name="devices_rollout_one",
                condition=Q(state__in=[RolloutState.RUNNING, RolloutState.PAUSED]),
            ),
            models.CheckConstraint(condition=Q(split__in=[*Split]), name="devices_rollout_split"),
            models.CheckConstraint(
                condition=Q(state__in=[RolloutState.RUNNING, RolloutState.PAUSED], ended_at=None)
                | Q(state__in=[RolloutState.DONE, RolloutState.ROLLED_BACK], ended_at__isnull=False),
                name="devices_rollout_end",
            ),
        ]

    def as_value(self) -> rollouts.Rollout:
        """The row as a value; load it with `whole()`."""
        return rollouts.Rollout(
            id=RolloutId(self.id),
            domain=DomainId(self.domain_id),
            domain_slug=self.domain.slug,
            change=PolicyChangeId(self.change_id),
            number=self.change.number,
            title=self.change.title,
            waves=Waves(split=Split(self.split), parts=tuple(map(tuple, self.parts))),
            gate=Gate.from_kept(self.gate),
            state=RolloutState(self.state),
            version=self.version,
            wave=self.wave,
            seq=self.seq,
            records=tuple(map(_wave_record, self.records)),
            heard=self.heard,
            note=self.note,
            started_at=self.started_at,
            ended_at=self.ended_at,
        )


def _wave_record(kept: Mapping[str, Any]) -> WaveRecord:
    return WaveRecord(
        entered_at=datetime.fromisoformat(kept["entered_at"]),
        obeyed_at=datetime.fromisoformat(kept["obeyed_at"]) if kept["obeyed_at"] else None,
        measured=Measured.from_kept(kept["measured"]) if kept["measured"] else None,
    )


def _person(kept: Mapping[str, str]) -> Person:
    return Person(kind=ActorKind(kept["kind"]), id=kept["id"], label=kept["label"])


class EnrolmentProfile(models.Model):
    """How devices of a kind become known."""

    id = models.UUIDField(primary_key=True)
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    name = models.CharField(max_length=64)
    device_type = models.ForeignKey(DeviceType, on_delete=models.PROTECT)
    needs_approval = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["domain", "name"], name="devices_profile_name")]


class EnrolmentToken(models.Model):
    """A token of which only the keyed hash of its secret is kept."""

    id = models.UUIDField(primary_key=True)
    profile = models.ForeignKey(EnrolmentProfile, on_delete=models.PROTECT)
    secret_hash = models.BinaryField()
    max_uses = models.PositiveIntegerField()
    uses = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField()
    allowed_networks = models.JSONField(default=list)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(uses__lte=models.F("max_uses")), name="devices_token_quota")]


class EnrolmentRequest(models.Model):
    """One wish to be enrolled; the same key under the same profile is the same wish, however often it is sent.

    `device_is_new` unless the device was registered ahead.
    """

    id = models.UUIDField(primary_key=True)
    profile = models.ForeignKey(EnrolmentProfile, on_delete=models.PROTECT)
    token = models.ForeignKey(EnrolmentToken, on_delete=models.PROTECT)
    public_key_sha256 = models.CharField(max_length=64)
    device = models.ForeignKey(Device, on_delete=models.SET_NULL, null=True)
    device_is_new = models.BooleanField()
    state = models.CharField(max_length=8, choices=_choices(RequestState))
    csr = models.TextField()
    name = models.CharField(max_length=64)
    hardware_serial = models.CharField(max_length=128, blank=True)
    attributes = models.JSONField(default=dict)
    address = models.CharField(max_length=45, blank=True)
    created_at = models.DateTimeField()
    certificate = models.ForeignKey("pki.Certificate", on_delete=models.PROTECT, null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["profile", "public_key_sha256"], name="devices_request_once")]


class UsedProof(models.Model):
    """A proof that was shown; until it has ended it is not taken again."""

    jti = models.CharField(max_length=200, primary_key=True)
    until = models.DateTimeField(db_index=True)
