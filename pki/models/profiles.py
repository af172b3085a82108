"""Profiles of a domain's own, beside the built-in ones (core/profiles.py)."""

from __future__ import annotations

from django.db import models


class ProfileVersion(models.Model):
    """One version of a profile, never changed. The newest that is not retired is the one in use."""

    id = models.UUIDField(primary_key=True)
    domain_id = models.UUIDField()
    name = models.SlugField(max_length=32)
    version = models.PositiveIntegerField()
    document = models.JSONField()
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain_id", "name", "version"], name="pki_profile_version_once")
        ]
