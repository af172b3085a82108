"""Clearing away what has ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.sessions.models import Session
from oauth2_provider.models import AccessToken

from console.models import IdempotentCall, SetupLink
from console.services.idempotent_calls import KEPT_FOR

_KEEP_LINKS = timedelta(days=30)


def clear_ended(*, now: datetime) -> int:
    """How many ended sessions, access tokens, kept answers and setup links were removed."""
    counts = (
        Session.objects.filter(expire_date__lt=now).delete()[0],
        AccessToken.objects.filter(expires__lt=now).delete()[0],
        IdempotentCall.objects.filter(started_at__lt=now - KEPT_FOR).delete()[0],
        SetupLink.objects.filter(expires_at__lt=now - _KEEP_LINKS).delete()[0],
    )
    return sum(counts)
