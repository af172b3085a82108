"""Who may come in: operators with their memberships and setup links, and applications."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from oauth2_provider.models import AbstractApplication

from console.core.roles import ConsoleRole
from kernel.core.ids import new_id


class OperatorManager(BaseUserManager["Operator"]):
    """What Django's authentication asks of the user model."""

    def get_by_natural_key(self, username: str | None) -> Operator:
        """The operator of that user name, whatever its case. Raises DoesNotExist."""
        return self.get(username=(username or "").lower())


class Operator(AbstractBaseUser):  # type: ignore[django-manager-missing]  # of the toolkit's untyped models
    """A human with a console login. User names are kept in lower case."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    username = models.CharField(max_length=150, unique=True)
    display_name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = OperatorManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(username=Lower("username")), name="console_operator_lower_case")
        ]

    def __str__(self) -> str:
        return self.display_name or self.username


class Membership(models.Model):
    """What an operator is in a domain."""

    operator = models.ForeignKey(Operator, on_delete=models.CASCADE, related_name="memberships")
    domain_id = models.UUIDField()
    role = models.CharField(max_length=32, choices=[(role.value, role.value) for role in ConsoleRole])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operator", "domain_id"], name="console_one_role_in_a_domain"),
        ]


class SetupLinkQuerySet(models.QuerySet["SetupLink"]):
    def open(self, *, now: datetime) -> Self:
        """Those that can still be used."""
        return self.filter(used_at=None, expires_at__gt=now, operator__is_active=True)


class SetupLink(models.Model):
    """A way in, once, for an operator without a password. Only a keyed hash of its token is kept."""

    operator = models.ForeignKey(Operator, on_delete=models.CASCADE, related_name="setup_links")
    token_hash = models.BinaryField(unique=True, max_length=32)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    objects = SetupLinkQuerySet.as_manager()


class Application(AbstractApplication):  # type: ignore[misc]
    """A program with API credentials: an OAuth 2.0 client, its scopes, and the domains that it may enter."""

    allowed_scopes = models.TextField(help_text="Names of scopes, separated by blanks.")
    every_domain = models.BooleanField(default=False)
    domain_ids = models.JSONField(default=list, help_text="Ids of domains, unless it may enter every one.")
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta(AbstractApplication.Meta):  # type: ignore[misc]
        abstract = False

    def is_usable(self, request: Any) -> bool:  # noqa: ARG002 - the signature is the toolkit's
        """Whether it may still ask for tokens."""
        return self.revoked_at is None

    @property
    def scope_set(self) -> frozenset[str]:
        """The scopes that it may have."""
        return frozenset(self.allowed_scopes.split())


class IdempotentCall(models.Model):
    """A POST with an Idempotency-Key, and what was answered; the answer is wrapped, since it may hold a secret."""

    key_hash = models.BinaryField(primary_key=True, max_length=32)
    body_hash = models.BinaryField(max_length=32)
    started_at = models.DateTimeField(db_index=True)
    answer = models.BinaryField(null=True)
