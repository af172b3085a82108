"""The connection kit of one device."""

from __future__ import annotations

from datetime import datetime

from acl.core.evaluation import effective
from devices.conf import broker_directory
from devices.core.connection_kit import ConnectionKit, make_kit
from devices.core.values import DeviceId, DeviceState
from devices.queries.passwords import is_without_certificate
from devices.queries.subjects import subject_of
from pki import queries as pki

_LET_IN = frozenset({DeviceState.ACTIVE, DeviceState.QUARANTINED})


def connection_kit_of(*, device: DeviceId, now: datetime) -> ConnectionKit:
    """What brings the device to its brokers, of which there are none while it may not connect. Raises UnknownDevice."""
    subject = subject_of(device=device, now=now)
    found = subject.device
    return make_kit(
        device=found,
        by_password=is_without_certificate(device=device),
        trust_bundle=pki.trust_bundle(domain=found.domain),
        endpoints=broker_directory().endpoints(found.domain) if found.state in _LET_IN else (),
        rules=effective(subject.policy, subject.principal),
    )
