"""The console's settings, read once from `django.conf`."""

from __future__ import annotations

from django.conf import settings


def base_url() -> str:
    """Where people and programs reach this installation, without a slash at the end."""
    url: str = settings.GATEHOUSE_BASE_URL
    return url
