"""A domain with a device type and nothing else: all that policy needs, and made at once."""

from __future__ import annotations

from datetime import datetime

from devices import services
from devices.models import Domain
from kernel.core.ids import DomainId
from tests.cast import ADA
from tests.devices.factory import Factory


class Bare(Factory):
    """A domain without a CA: nothing can enrol."""

    def __init__(self, domain: DomainId, slug: str, now: datetime) -> None:
        self.domain, self.slug, self.now = domain, slug, now
        Domain.objects.create(id=domain, slug=slug, name=slug.title())
        services.create_device_type(domain=domain, name="pump", schema={}, actor=ADA, now=now)
