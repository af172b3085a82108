"""Signed CRLs, as they are served."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from pki.core.values import CrlKind, PublishedCrl


class Crl(models.Model):
    """A signed CRL; it covers the revocations up to the issuer's `revision`.

    What is published together has one number (RFC 5280 5.2.4). `shard` is that of a shard's CRL; `base_number` the
    number of the full CRL that a delta begins at.
    """

    issuer = models.ForeignKey("pki.Issuer", on_delete=models.PROTECT)
    kind = models.CharField(max_length=5, choices=[(each.value, each.value) for each in CrlKind], default=CrlKind.FULL)
    shard = models.PositiveSmallIntegerField(null=True)
    number = models.BigIntegerField()
    base_number = models.BigIntegerField(null=True)
    revision = models.BigIntegerField()
    der = models.BinaryField()
    entries = models.PositiveIntegerField()
    this_update = models.DateTimeField()
    next_update = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "kind", "number"], name="pki_crl_number_once", condition=Q(shard__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["issuer", "shard", "number"], name="pki_shard_number_once", condition=Q(shard__isnull=False)
            ),
            models.CheckConstraint(
                condition=Q(kind="full", shard__isnull=True, base_number__isnull=True)
                | Q(kind="shard", shard__isnull=False, base_number__isnull=True)
                | Q(kind="delta", shard__isnull=True, base_number__isnull=False),
                name="pki_crl_is_of_its_kind",
            ),
        ]
        indexes = [models.Index(fields=["issuer", "kind", "shard", "-number"], name="pki_crl_newest")]

    def as_value(self) -> PublishedCrl:
        """The row as a value."""
        return PublishedCrl(
            kind=CrlKind(self.kind),
            shard=self.shard,
            base_number=self.base_number,
            number=self.number,
            der=bytes(self.der),
            this_update=self.this_update,
            next_update=self.next_update,
            entries=self.entries,
            revision=self.revision,
        )
