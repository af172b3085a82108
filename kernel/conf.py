"""The kernel's settings, read once from `django.conf`."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from kernel.core.ports import Router
from kernel.core.secrets import MasterKeys


def master_key() -> MasterKeys:
    """The key that wraps everything secret, and the others that are believed."""
    return MasterKeys(settings.GATEHOUSE_MASTER_KEY, tuple(settings.GATEHOUSE_MASTER_KEY_PREVIOUS))


def router() -> Router:
    """Who knows the consequences of an entry: `GATEHOUSE_ROUTER` names it, `console/wiring.py` has it."""
    found: Router = import_string(settings.GATEHOUSE_ROUTER)
    return found
