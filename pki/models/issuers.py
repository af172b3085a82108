"""Issuers, what certifies them, and what signs for them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from kernel.core.ids import DomainId
from pki.core.pem import encode_pem
from pki.core.values import Issuer as IssuerValue
from pki.core.values import IssuerId, IssuerKind, IssuerState, KeyAlgorithm, SerialNumber
from pki.models.keys import Key


class Issuer(models.Model):
    """A CA. `revision` rises with each revocation, hold and release; `crl_number` with each publication of CRLs.

    `successor` took its place in a rollover. Certificates are spread over `crl_shards` shards; 0 and 1 mean none.
    """

    id = models.UUIDField(primary_key=True)
    domain_id = models.UUIDField(db_index=True)
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=64)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True)
    kind = models.CharField(
        max_length=7, choices=[(each.value, each.value) for each in IssuerKind], default=IssuerKind.ONLINE
    )
    state = models.CharField(
        max_length=10, choices=[(each.value, each.value) for each in IssuerState], default=IssuerState.ACTIVE
    )
    successor = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="predecessor")
    key = models.OneToOneField(Key, on_delete=models.PROTECT, null=True)
    key_algorithm = models.CharField(max_length=16)
    crl_shards = models.PositiveSmallIntegerField(default=0)
    der = models.BinaryField()
    serial = models.CharField(max_length=40)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    revision = models.BigIntegerField(default=0)
    crl_number = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="online", key__isnull=False) | ~Q(kind="online") & Q(key__isnull=True),
                name="pki_online_issuer_has_key",
            ),
        ]

    def as_value(self) -> IssuerValue:
        """The row as a value; its ancestors have to be loaded."""
        der = bytes(self.der)
        return IssuerValue(
            id=IssuerId(self.id),
            domain=DomainId(self.domain_id),
            slug=self.slug,
            name=self.name,
            parent=IssuerId(self.parent_id) if self.parent_id else None,
            kind=IssuerKind(self.kind),
            state=IssuerState(self.state),
            successor=IssuerId(self.successor_id) if self.successor_id else None,
            key_algorithm=KeyAlgorithm(self.key_algorithm) if self.key_algorithm in set(KeyAlgorithm) else None,
            crl_shards=self.crl_shards,
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


class IssuerRequest(models.Model):
    """A CA to be, whose certificate is yet to be signed, elsewhere; its key is here already. It succeeds `replaces`."""

    id = models.UUIDField(primary_key=True)
    domain_id = models.UUIDField()
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=64)
    key = models.OneToOneField(Key, on_delete=models.PROTECT)
    csr = models.BinaryField()
    crl_shards = models.PositiveSmallIntegerField(default=0)
    replaces = models.ForeignKey(Issuer, on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField()


class CrossCertificate(models.Model):
    """Another certificate for an issuer's name and key, by `signer` or, if that is None, by a CA elsewhere."""

    id = models.UUIDField(primary_key=True)
    issuer = models.ForeignKey(Issuer, on_delete=models.PROTECT, related_name="cross_certificates")
    signer = models.ForeignKey(Issuer, on_delete=models.PROTECT, null=True, related_name="cross_signed")
    certificate = models.OneToOneField("pki.Certificate", on_delete=models.PROTECT, null=True)
    der = models.BinaryField()
    fingerprint = models.CharField(max_length=64, unique=True)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()


class SigningRequest(models.Model):
    """What an offline issuer has yet to sign: the DER of a TBSCertificate or TBSCertList, as linted.

    `becomes` is the CA that the certificate is for, `key` that of an OCSP signer; a CRL has `number` and covers up to
    `revision`.
    """

    id = models.UUIDField(primary_key=True)
    issuer = models.ForeignKey(Issuer, on_delete=models.PROTECT)
    kind = models.CharField(max_length=11, choices=[("certificate", "certificate"), ("crl", "crl")])
    to_be_signed = models.BinaryField()
    purpose = models.CharField(max_length=255)
    certificate = models.ForeignKey("pki.Certificate", on_delete=models.PROTECT, null=True)
    becomes = models.ForeignKey(IssuerRequest, on_delete=models.SET_NULL, null=True)
    key = models.OneToOneField(Key, on_delete=models.PROTECT, null=True)
    revision = models.BigIntegerField(null=True)
    number = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)


class OcspSigner(models.Model):
    """A delegated OCSP signer of an issuer; the newest that has begun is the one in use."""

    issuer = models.ForeignKey(Issuer, on_delete=models.PROTECT)
    key = models.OneToOneField(Key, on_delete=models.PROTECT)
    certificate = models.OneToOneField("pki.Certificate", on_delete=models.PROTECT)


def to_pem(der: bytes) -> str:
    """A certificate as PEM, with a newline at its end."""
    return encode_pem("CERTIFICATE", der)
