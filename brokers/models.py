"""Tables of brokers, plans, sessions and the access log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from brokers.core import plans, token_keys, values
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.decide import decisions as decide
from brokers.core.decide.decisions import DecisionSecretId, Identity
from brokers.core.values import AccessKind, AdapterKind, BrokerId, Listener, OnDrift, PlanId, SyncState, Transport
from devices.core.values import DeviceId
from kernel.core.ids import DomainId, new_id


def _choices(*members: str) -> list[tuple[str, str]]:
    return [(member, member) for member in members]


def _unleased(now: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=now)


class BrokerQuerySet(models.QuerySet["Broker"]):
    def of_domains(self, domains: Iterable[DomainId]) -> Self:
        """Those of the domains, by name."""
        return self.filter(domain_id__in=list(domains)).order_by("name")

    def with_domain(self) -> Self:
        """With the slug of their domain, in the same query."""
        return self.select_related("domain")

    def unleased(self, *, now: datetime) -> Self:
        """Those that nobody has the right to write to."""
        return self.filter(_unleased(now))

    def unwritten(self, *, now: datetime) -> Self:
        """Those that nobody writes to just now, whoever has the right to."""
        return self.filter(_unleased(now) | Q(lease_writes=False))

    def managed(self) -> Self:
        """Those that a plan was applied to."""
        return self.exclude(managed_since=None)


class Broker(models.Model):
    """A broker. `connection` is an envelope under the master key, `control_name` the account that it names.

    `auth_chain` is a document of core/auth_chains/document.py, {} for the one without steps.
    `lease` says who had the right to write to it last, and has it until `lease_until`; `lease_writes` that this one is
    in the midst of it, and does not only read. `yield_until` asks it to give way to an eviction. `desired_digest` is of
    the rendering that was last verified on the broker, `policy_digest` of what that said, where somebody has to be
    asked about changes by hand, `shut_out_digest` of what was found when those who are shut out were last read there,
    and had no more than they should. `crl_revisions` has the revision of each issuer (by id) up to which those with a
    revoked certificate were disconnected once the broker knew of it. `unknown_accounts` has `count`, and `names` of
    some.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    domain = models.ForeignKey("devices.Domain", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=63, unique=True)
    kind = models.CharField(max_length=32, choices=_choices(*AdapterKind))
    connection = models.BinaryField()
    control_name = models.CharField(max_length=255, blank=True)
    takes_passwords = models.BooleanField(null=True)
    listeners = models.JSONField(default=list)
    accepted_deviations = models.JSONField(default=list)
    auth_chain = models.JSONField(default=dict)
    sync = models.CharField(max_length=16, choices=_choices(*SyncState), default=SyncState.UNKNOWN)
    detail = models.TextField(blank=True)
    version = models.CharField(max_length=64, blank=True)
    checked_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    drifted_at = models.DateTimeField(null=True)
    on_drift = models.CharField(max_length=16, choices=_choices(*OnDrift), default=OnDrift.CORRECT)
    unknown_accounts = models.JSONField(default=dict)
    known_accounts = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    managed_since = models.DateTimeField(null=True)
    desired_digest = models.CharField(max_length=64, blank=True)
    policy_digest = models.CharField(max_length=64, blank=True)
    shut_out_digest = models.CharField(max_length=64, blank=True)
    converged_seq = models.BigIntegerField(default=0)
    crl_revisions = models.JSONField(default=dict)
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_writes = models.BooleanField(default=False)
    yield_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    objects = BrokerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=[*AdapterKind]), name="brokers_broker_kind"),
            models.CheckConstraint(condition=Q(sync__in=[*SyncState]), name="brokers_broker_sync"),
            models.CheckConstraint(condition=Q(on_drift__in=[*OnDrift]), name="brokers_broker_on_drift"),
            models.CheckConstraint(condition=Q(name__regex=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"), name="brokers_name"),
        ]

    @property
    def tag(self) -> str:
        """What tells what it is registered with now from what it was, or is after a change."""
        told = json.dumps([self.name, self.listeners, bytes(self.connection).hex()])
        return hashlib.sha256(told.encode()).hexdigest()

    def as_value(self) -> values.Broker:
        """The broker, without how it is spoken to."""
        return values.Broker(
            id=BrokerId(self.id),
            domain=DomainId(self.domain_id),
            domain_slug=self.domain.slug,
            name=self.name,
            kind=AdapterKind(self.kind),
            listeners=tuple(
                Listener(host=row["host"], port=row["port"], transport=Transport(row["transport"]))
                for row in self.listeners
            ),
            sync=SyncState(self.sync),
            detail=self.detail,
            version=self.version,
            checked_at=self.checked_at,
            last_seen_at=self.last_seen_at,
            managed_since=self.managed_since,
            converged_seq=self.converged_seq,
            created_at=self.created_at,
            takes_passwords=self.takes_passwords,
            tag=self.tag,
            on_drift=OnDrift(self.on_drift),
            unknown_accounts=tuple(self.unknown_accounts.get("names", ())),
            unknown_account_count=self.unknown_accounts.get("count", 0),
            known_accounts=tuple(self.known_accounts),
            notes=tuple(self.notes),
        )


class DecisionSecret(models.Model):
    """A secret by which a broker asks over HTTP, of which only a keyed hash is kept."""

    id = models.UUIDField(primary_key=True)
    broker = models.ForeignKey(Broker, on_delete=models.CASCADE, related_name="decision_secrets")
    secret_hash = models.BinaryField()
    identity = models.CharField(max_length=16, choices=_choices(*Identity))
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(identity__in=[*Identity]), name="brokers_decision_secret_identity")
        ]

    def as_value(self) -> decide.DecisionSecret:
        """The secret, without its hash."""
        return decide.DecisionSecret(
            id=DecisionSecretId(self.id), identity=Identity(self.identity), created_at=self.created_at
        )


class TokenKey(models.Model):
    """A key that signs access tokens, or did, or will. `private_key` (PKCS #8) is an envelope under the master key."""

    number = models.PositiveIntegerField(primary_key=True)
    kid = models.CharField(max_length=43, unique=True)
    public_key = models.BinaryField()
    private_key = models.BinaryField()
    created_at = models.DateTimeField()
    signs_from = models.DateTimeField()

    def as_value(self) -> token_keys.TokenKey:
        """The key, without its private half."""
        return token_keys.TokenKey(
            number=self.number,
            kid=self.kid,
            public_key=bytes(self.public_key),
            created_at=self.created_at,
            signs_from=self.signs_from,
        )


class Plan(models.Model):
    """A plan as it was shown. `desired_digest` is of the rendering that it was computed from."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    broker = models.ForeignKey(Broker, on_delete=models.CASCADE, related_name="plans")
    steps = models.JSONField()
    deviations = models.JSONField()
    effect = models.JSONField()
    warnings = models.JSONField(default=list)
    in_sync = models.BooleanField()
    desired_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=255)

    class Meta:
        ordering = ["-created_at", "id"]

    def as_value(self) -> plans.Plan:
        """The plan."""
        return plans.Plan(
            id=PlanId(self.id),
            broker=BrokerId(self.broker_id),
            steps=tuple(plans.PlannedStep(**row) for row in self.steps),
            deviations=tuple(plans.PlannedDeviation(**row) for row in self.deviations),
            gain=tuple(self.effect["gain"]),
            lose=tuple(self.effect["lose"]),
            effect_bounded=self.effect["bounded"],
            warnings=tuple(self.warnings),
            in_sync=self.in_sync,
            desired_digest=self.desired_digest,
            created_at=self.created_at,
            created_by=self.created_by,
        )


class SessionQuerySet(models.QuerySet["Session"]):
    def of_device(self, device: DeviceId) -> Self:
        """Those of the device, oldest first."""
        return self.filter(device_id=device).order_by("connected_at", "id").select_related("broker")


class Session(models.Model):
    """A connection that is open, as far as the broker told us.

    `takes_over`: it began while another of its client id was open, whose end may still be told.
    """

    broker = models.ForeignKey(Broker, on_delete=models.CASCADE, related_name="sessions")
    device_id = models.UUIDField(null=True)
    auth_id = models.CharField(max_length=255)
    client_id = models.CharField(max_length=255)
    address = models.CharField(max_length=64, blank=True)
    connected_at = models.DateTimeField()
    connection_id = models.CharField(max_length=64, blank=True)
    grant_digest = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField(null=True)
    takes_over = models.BooleanField(default=False)

    objects = SessionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "client_id"], name="brokers_session_client")]
        indexes = [
            models.Index(fields=["device_id"], name="brokers_session_device"),
            models.Index(fields=["broker", "auth_id"], name="brokers_session_auth_id"),
        ]

    def as_value(self) -> values.Session:
        """The session."""
        return values.Session(
            broker=BrokerId(self.broker_id),
            broker_name=self.broker.name,
            device=DeviceId(self.device_id) if self.device_id else None,
            auth_id=self.auth_id,
            client_id=self.client_id,
            address=self.address,
            connected_at=self.connected_at,
            connection_id=self.connection_id,
            grant_digest=self.grant_digest,
            expires_at=self.expires_at,
        )


class AccessEvent(models.Model):
    """One line of the access log. It outlives the broker, whose name it keeps."""

    at = models.DateTimeField()
    broker = models.ForeignKey(Broker, on_delete=models.SET_NULL, null=True, related_name="+")
    broker_name = models.CharField(max_length=63)
    domain_id = models.UUIDField()
    device_id = models.UUIDField(null=True)
    auth_id = models.CharField(max_length=255, blank=True)
    client_id = models.CharField(max_length=255, blank=True)
    kind = models.CharField(max_length=16, choices=_choices(*AccessKind))
    action = models.CharField(max_length=16, blank=True)
    topic = models.CharField(max_length=500, blank=True)
    qos = models.PositiveSmallIntegerField(null=True)
    reason = models.CharField(max_length=32, blank=True)
    address = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["device_id", "-id"], name="brokers_access_device"),
            models.Index(fields=["domain_id", "-id"], name="brokers_access_domain"),
            models.Index(fields=["domain_id", "at"], name="brokers_access_day"),
        ]

    def as_value(self) -> values.AccessEvent:
        """The line."""
        return values.AccessEvent(
            id=self.pk,
            at=self.at,
            broker_name=self.broker_name,
            device=DeviceId(self.device_id) if self.device_id else None,
            auth_id=self.auth_id,
            client_id=self.client_id,
            kind=AccessKind(self.kind),
            action=AccessAction(self.action) if self.action else None,
            topic=self.topic,
            qos=self.qos,
            reason=AccessReason(self.reason) if self.reason else None,
            address=self.address,
            detail=self.detail,
        )


class RuleUse(models.Model):
    """How often a rule let somebody on a broker on one day (UTC), and under which templates its topics fall.

    `filters` holds a few; empty if they were too many or too different to tell. A rule may be gone.
    """

    broker = models.ForeignKey(Broker, on_delete=models.CASCADE, related_name="+")
    rule_id = models.UUIDField()
    day = models.DateField()
    count = models.PositiveBigIntegerField()
    last_device_id = models.UUIDField(null=True)
    filters = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule_id", "broker", "day"], name="brokers_rule_use")]


class DeniedAttempt(models.Model):
    """How often a device was denied the same on one day (UTC), and from when on.

    `rule_id` is the deny rule that said so, if one did. `topic` has placeholders and wildcards where single topics
    would be too many.
    """

    broker = models.ForeignKey(Broker, on_delete=models.CASCADE, related_name="+")
    device_id = models.UUIDField()
    action = models.CharField(max_length=16)
    topic = models.CharField(max_length=255)
    reason = models.CharField(max_length=32)
    rule_id = models.UUIDField(null=True)
    day = models.DateField()
    count = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "day", "device_id", "action", "topic", "reason"], name="brokers_denied_attempt"
            )
        ]


class Listening(models.Model):
    """How a broker is to listen, and what the last probe of its listeners saw; no row if nobody said and looked."""

    broker = models.OneToOneField(Broker, on_delete=models.CASCADE, primary_key=True, related_name="+")
    profile = models.JSONField(null=True)
    version = models.PositiveIntegerField(default=0)
    probe = models.JSONField(null=True)
    probed_at = models.DateTimeField(null=True)


class HeardDay(models.Model):
    """For how many minutes of a day (UTC) a broker was heard, and how often it told that something was used.

    `lost` counts what it told and nobody could write down. A rule is unused only where somebody listened.
    """

    broker = models.ForeignKey(Broker, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    minutes = models.PositiveIntegerField()
    publishes = models.PositiveBigIntegerField()
    subscribes = models.PositiveBigIntegerField()
    lost = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "day"], name="brokers_heard_day")]


class AccessFile(models.Model):
    """What the file of a domain's day has, by the ids of lines; a day has a row as soon as it has a line.

    `newest` is the day's last line, `made` the last that the file has: both once it is made. Up to `left` lines have
    left the table or are about to, and the file's first `octets` are what has them; the rest is made of the table.
    """

    domain_id = models.UUIDField()
    day = models.DateField()
    newest = models.PositiveBigIntegerField()
    made = models.PositiveBigIntegerField(default=0)
    left = models.PositiveBigIntegerField(default=0)
    octets = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["domain_id", "day"], name="brokers_access_file")]


class LogPlace(models.Model):
    """How far a log file of a broker was read, written down together with what was read; at `at` it told something."""

    broker = models.ForeignKey(Broker, on_delete=models.CASCADE, related_name="+")
    file = models.CharField(max_length=64)
    offset = models.PositiveBigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "file"], name="brokers_log_place")]
