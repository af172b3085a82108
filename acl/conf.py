"""The settings that roles read."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from acl.core.ports import PolicyGate


def policy_gate() -> PolicyGate:
    """Who lets writers in: `GATEHOUSE_POLICY_GATE` names it, `console/wiring.py` has it."""
    found: PolicyGate = import_string(settings.GATEHOUSE_POLICY_GATE)
    return found
