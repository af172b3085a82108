"""Certificates, and whom the keys in them belong to."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from kernel.core.ids import DomainId
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, IssuerId, ReasonCode, SerialNumber
from pki.models.issuers import Issuer, to_pem


class PublicKeyHolder(models.Model):
    """That a public key belongs to one holder, for ever. `weakness`: why it is refused, if it is."""

    public_key_sha256 = models.CharField(max_length=64, primary_key=True)
    holder = models.CharField(max_length=64)
    weakness = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [models.Index(fields=["weakness"], name="pki_weak_key", condition=~Q(weakness=""))]


class CertificateQuerySet(models.QuerySet["Certificate"]):
    def listed(self, *, issuer: IssuerId, still_valid_at: datetime) -> Self:
        """Revoked and held ones that had not ended at that time: what a CRL lists."""
        revoked = [CertificateState.REVOKED, CertificateState.HELD]
        return self.filter(issuer_id=issuer, state__in=revoked, not_after__gte=still_valid_at)


class Certificate(models.Model):
    """A certificate that an issuer of ours signs, written before it is signed.

    `crl_entry`: its element of a CRL, if revoked, and of deltas only, if released. `changed_revision`: its issuer's
    revision after it was last revoked, held or released, which was at `changed_at`, by the journal's entry `operation`.
    `shard`: whose CRL its distribution point names, for ever.
    """

    id = models.UUIDField(primary_key=True)
    domain_id = models.UUIDField()
    issuer = models.ForeignKey(Issuer, on_delete=models.PROTECT)
    serial = models.CharField(max_length=40)
    holder = models.CharField(max_length=64, db_index=True)
    profile = models.CharField(max_length=32)
    profile_version = models.PositiveIntegerField(default=0)
    shard = models.PositiveSmallIntegerField(null=True)
    state = models.CharField(max_length=9, choices=[(each.value, each.value) for each in CertificateState])
    subject = models.CharField(max_length=255)
    public_key_sha256 = models.CharField(max_length=64)
    key_kind = models.CharField(max_length=16, blank=True)
    der = models.BinaryField(null=True)
    fingerprint = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001 - unique once it is signed
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    requested_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=20, blank=True)
    note = models.TextField(blank=True)
    invalidity_date = models.DateTimeField(null=True)
    crl_entry = models.BinaryField(null=True)
    changed_revision = models.BigIntegerField(null=True)
    changed_at = models.DateTimeField(null=True)
    operation = models.UUIDField(null=True)

    objects = CertificateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "serial"], name="pki_serial_once_per_issuer"),
            models.CheckConstraint(
                condition=~Q(state__in=["revoked", "held"]) | Q(revoked_at__isnull=False, crl_entry__isnull=False),
                name="pki_revoked_has_entry",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["issued", "held"]) | Q(der__isnull=False) | Q(profile="imported"),
                name="pki_issued_has_certificate",
            ),
        ]
        indexes = [
            models.Index(fields=["domain_id", "-id"], name="pki_certificate_domain"),
            models.Index(
                fields=["issuer", "not_after"], name="pki_certificate_revoked", condition=Q(crl_entry__isnull=False)
            ),
            models.Index(
                fields=["issuer", "changed_revision"],
                name="pki_certificate_changed",
                condition=Q(changed_revision__isnull=False),
            ),
            # On PostgreSQL there is one more, pki_certificate_crl, that holds all a CRL is made of: see the migration.
            models.Index(fields=["domain_id", "not_after"], name="pki_certificate_ends"),
            models.Index(fields=["issuer", "not_after"], name="pki_certificate_good", condition=Q(state="issued")),
            models.Index(
                fields=["state", "requested_at"],
                name="pki_certificate_other",
                condition=Q(state__in=["requested", "held", "revoked"]),
            ),
            models.Index(
                fields=["domain_id", "-revoked_at", "-id"],
                name="pki_certificate_revocations",
                condition=Q(state__in=["revoked", "held"]),
            ),
            models.Index(
                fields=["domain_id", "reason", "-revoked_at", "-id"],
                name="pki_certificate_reason",
                condition=Q(state__in=["revoked", "held"]),
            ),
            models.Index(
                fields=["domain_id", "subject"],
                name="pki_certificate_subject",
                opclasses=["uuid_ops", "varchar_pattern_ops"],
            ),
            models.Index(
                fields=["domain_id", "profile", "-id"], name="pki_certificate_profile", condition=~Q(profile="device")
            ),
        ]

    def as_value(self) -> IssuedCertificate:
        """The row as a value; the issuer and those above it have to be loaded."""
        return IssuedCertificate(
            id=CertificateId(self.id),
            domain=DomainId(self.domain_id),
            issuer=IssuerId(self.issuer_id),
            issuer_slug=self.issuer.slug,
            serial=SerialNumber(int(self.serial, 16)),
            holder=self.holder,
            profile=self.profile,
            profile_version=self.profile_version,
            shard=self.shard,
            state=CertificateState(self.state),
            subject=self.subject,
            pem=to_pem(bytes(self.der)) if self.der else "",
            chain_pem=self.issuer.chain_pem(),
            not_before=self.not_before,
            not_after=self.not_after,
            fingerprint=self.fingerprint or "",
            public_key_sha256=self.public_key_sha256,
            requested_at=self.requested_at,
            revoked_at=self.revoked_at,
            invalidity_date=self.invalidity_date,
            changed_at=self.changed_at,
            reason=ReasonCode(self.reason) if self.reason else None,
        )
