"""The kernel's settings, read once from `django.conf`."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from kernel.core.ports import Router
from kernel.core.secrets import MasterKey


def master_key() -> MasterKey:
    """The key that wraps everything secret."""
    key: MasterKey = settings.GATEHOUSE_MASTER_KEY
    return key


def router() -> Router:
    """Who knows the consequences of an entry: `GATEHOUSE_ROUTER` names it, `console/wiring.py` has it."""
    found: Router = import_string(settings.GATEHOUSE_ROUTER)
    return found
