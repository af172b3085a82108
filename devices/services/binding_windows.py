"""Windows of bindings that begin and end: whoever follows the journal hears of it, once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.values import BindingId
from devices.core.windows import WindowState
from devices.models import Binding
from devices.services.bindings import facts_of, record_binding
from devices.services.policy_gate import lock_policy
from kernel.core.actor import SYSTEM
from kernel.core.ids import DomainId

_MOST = 1_000


def tell_windows(*, now: datetime) -> int:
    """How many bindings the journal tells of, whose window began or ended: each once, whoever asks; at most 1,000.

    What began and ended unseen has ended. A clock that is set back takes nothing back.
    """
    untold = Binding.objects.untold(now=now).order_by("id").values_list("id", "domain_id")[:_MOST]
    return sum(_tell(BindingId(id), DomainId(domain), now=now) for id, domain in list(untold))


def _tell(binding: BindingId, domain: DomainId, *, now: datetime) -> bool:
    with transaction.atomic():
        lock_policy(domain)  # as who changes policy does, who locks bindings while holding the journal
        untold = Binding.objects.untold(now=now).filter(id=binding)
        row = untold.select_related("role", "device", "group", "device_type", "domain").first()
        if row is None:
            return False
        state = row.window.state(now)
        if not untold.filter(version=row.version).update(window_told=state):
            return False
        action = "devices.binding.ended" if state is WindowState.ENDED else "devices.binding.began"
        record_binding(action, row, before={}, after=facts_of(row), change=None, actor=SYSTEM, now=now)
    return True
