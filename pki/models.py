"""Tables of the certificate authority. `domain_id` and `holder` are opaque: they point to apps above."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from kernel.core.ids import DomainId
from pki.core.pem import encode_pem
from pki.core.values import (
    CertificateId,
    CertificateState,
    IssuedCertificate,
    IssuerId,
    KeyAlgorithm,
    PublishedCrl,
    ReasonCode,
    SerialNumber,
)
from pki.core.values import Issuer as IssuerValue


class Key(models.Model):
    """A private key as PKCS#8, wrapped under the master key."""

    id = models.UUIDField(primary_key=True)
    algorithm = models.CharField(max_length=16, choices=[(each.value, each.value) for each in KeyAlgorithm])
    wrapped = models.BinaryField()


class Issuer(models.Model):
    """A CA. `revision` rises with each revocation, hold and release; `crl_number` with each CRL."""

    id = models.UUIDField(primary_key=True)
    domain_id = models.UUIDField(db_index=True)
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=64)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True)
    key = models.OneToOneField(Key, on_delete=models.PROTECT)
    der = models.BinaryField()
    serial = models.CharField(max_length=40)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    revision = models.BigIntegerField(default=0)
    crl_number = models.BigIntegerField(default=0)

    def as_value(self) -> IssuerValue:
        """The row as a value; its ancestors have to be loaded."""
        der = bytes(self.der)
        return IssuerValue(
            id=IssuerId(self.id),
            domain=DomainId(self.domain_id),
            slug=self.slug,
            name=self.name,
            parent=IssuerId(self.parent_id) if self.parent_id else None,
            key_algorithm=KeyAlgorithm(self.key.algorithm),
            certificate_der=der,
            certificate_pem=to_pem(der),
            chain_pem=self.chain_pem(),
            not_before=self.not_before,
            not_after=self.not_after,
            serial=SerialNumber(int(self.serial, 16)),
        )

    def chain_pem(self) -> str:
        """This issuer and those above it, without the root; a root's is itself."""
        if self.parent is None:
            return to_pem(bytes(self.der))
        above = self.parent.chain_pem() if self.parent.parent_id else ""
        return to_pem(bytes(self.der)) + above


class PublicKeyHolder(models.Model):
    """That a public key belongs to one holder, for ever."""

    public_key_sha256 = models.CharField(max_length=64, primary_key=True)
    holder = models.CharField(max_length=64)


class CertificateQuerySet(models.QuerySet["Certificate"]):
    def listed(self, *, issuer: IssuerId, still_valid_at: datetime) -> Self:
        """Revoked and held ones that had not ended at that time: what a CRL lists."""
        revoked = [CertificateState.REVOKED, CertificateState.HELD]
        return self.filter(issuer_id=issuer, state__in=revoked, not_after__gte=still_valid_at)


class Certificate(models.Model):
    """An end entity's certificate, written before it is signed. `crl_entry`: its element of a CRL, if revoked."""

    id = models.UUIDField(primary_key=True)
    domain_id = models.UUIDField()
    issuer = models.ForeignKey(Issuer, on_delete=models.PROTECT)
    serial = models.CharField(max_length=40)
    holder = models.CharField(max_length=64, db_index=True)
    profile = models.CharField(max_length=32)
    state = models.CharField(max_length=9, choices=[(each.value, each.value) for each in CertificateState])
    subject = models.CharField(max_length=255)
    public_key_sha256 = models.CharField(max_length=64)
    der = models.BinaryField(null=True)
    fingerprint = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001 - unique once it is signed
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    requested_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=20, blank=True)
    note = models.TextField(blank=True)
    crl_entry = models.BinaryField(null=True)

    objects = CertificateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "serial"], name="pki_serial_once_per_issuer"),
            models.CheckConstraint(
                condition=~Q(state__in=["revoked", "held"]) | Q(revoked_at__isnull=False, crl_entry__isnull=False),
                name="pki_revoked_has_entry",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["issued", "held"]) | Q(der__isnull=False), name="pki_issued_has_certificate"
            ),
        ]
        indexes = [
            models.Index(fields=["domain_id", "-id"], name="pki_certificate_domain"),
            models.Index(
                fields=["issuer", "not_after"], name="pki_certificate_revoked", condition=Q(crl_entry__isnull=False)
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
            state=CertificateState(self.state),
            subject=self.subject,
            pem=to_pem(bytes(self.der)) if self.der else "",
            chain_pem=self.issuer.chain_pem(),
            not_before=self.not_before,
            not_after=self.not_after,
            fingerprint=self.fingerprint or "",
            public_key_sha256=self.public_key_sha256,
            revoked_at=self.revoked_at,
            reason=ReasonCode(self.reason) if self.reason else None,
        )


class Crl(models.Model):
    """A signed CRL as it is served; it covers the revocations up to `revision`."""

    issuer = models.ForeignKey(Issuer, on_delete=models.PROTECT)
    number = models.BigIntegerField()
    revision = models.BigIntegerField()
    der = models.BinaryField()
    entries = models.PositiveIntegerField()
    this_update = models.DateTimeField()
    next_update = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "number"], name="pki_crl_number_once")]

    def as_value(self) -> PublishedCrl:
        """The row as a value."""
        return PublishedCrl(
            number=self.number,
            der=bytes(self.der),
            this_update=self.this_update,
            next_update=self.next_update,
            entries=self.entries,
        )


class OcspSigner(models.Model):
    """A delegated OCSP signer of an issuer; the newest that has begun is the one in use."""

    issuer = models.ForeignKey(Issuer, on_delete=models.PROTECT)
    key = models.OneToOneField(Key, on_delete=models.PROTECT)
    certificate = models.OneToOneField(Certificate, on_delete=models.PROTECT)


def to_pem(der: bytes) -> str:
    """A certificate as PEM, with a newline at its end."""
    return encode_pem("CERTIFICATE", der)
