"""Private keys, or where they are kept."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from pki.core.values import Custody, KeyAlgorithm


class Key(models.Model):
    """A private key. `wrapped`: its PKCS#8 under the master key (`encrypted`); `locator`: where else it is."""

    id = models.UUIDField(primary_key=True)
    algorithm = models.CharField(max_length=16, choices=[(each.value, each.value) for each in KeyAlgorithm])
    custody = models.CharField(
        max_length=9, choices=[(each.value, each.value) for each in Custody], default=Custody.ENCRYPTED
    )
    wrapped = models.BinaryField(null=True)
    locator = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(custody="encrypted", wrapped__isnull=False) | Q(wrapped__isnull=True) & ~Q(locator=""),
                name="pki_key_is_somewhere",
            )
        ]
