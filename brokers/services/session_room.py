"""How many sessions a broker may claim, whatever it tells: a table that grows with its words would be its to fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from django.db.models import Count

from brokers import models
from brokers.core.values import BrokerId
from devices.core.values import DeviceId

MOST_OF_DEVICE = 16
MOST_OF_NOBODY = 20_000
"""Of names that no device has."""


class SessionRoom:
    """What the sessions of these devices on one broker leave free; None stands for names that no device has."""

    def __init__(self, broker: BrokerId, devices: Collection[DeviceId | None]) -> None:
        sessions = models.Session.objects.filter(broker_id=broker).order_by()
        counts = sessions.filter(device_id__in=set(devices) - {None}).values_list("device_id").annotate(Count("pk"))
        self._taken: Counter[DeviceId | None] = Counter(dict(counts) if set(devices) - {None} else {})
        if None in devices:
            self._taken[None] = sessions.filter(device_id=None).count()

    def take(self, device: DeviceId | None) -> bool:
        """Whether there was room for one more, which is taken."""
        if self._taken[device] >= (MOST_OF_NOBODY if device is None else MOST_OF_DEVICE):
            return False
        self._taken[device] += 1
        return True

    def leave(self, device: DeviceId | None) -> None:
        """There is room for one more."""
        self._taken[device] -= 1
