"""What should hold on the brokers of a domain, from the register of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from brokers.core.ports import DesiredState, RenderSubject
from brokers.core.standing import render_subject
from devices import queries as devices
from devices.core.values import DeviceId
from kernel.core.ids import DomainId

_CHUNK = 500


def desired_state(*, domain: DomainId, pause: Callable[[], None] | None = None) -> DesiredState:
    """Everything that should hold. `pause` is called after each 500 devices; what it raises ends the work."""
    return DesiredState(subjects=tuple(_subjects(domain, pause)))


def desired_state_of(*, device: DeviceId) -> DesiredState:
    """What should hold of one device."""
    subject = render_subject(devices.subject_of(device=device))
    return DesiredState(subjects=(subject,), only=frozenset({subject.principal.auth_id}))


def _subjects(domain: DomainId, pause: Callable[[], None] | None) -> Iterator[RenderSubject]:
    for number, subject in enumerate(devices.iterate_subjects(domain=domain, chunk=_CHUNK), start=1):
        yield render_subject(subject)
        if pause is not None and number % _CHUNK == 0:
            pause()
