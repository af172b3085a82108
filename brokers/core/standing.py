"""What a device's state means to a broker."""

from __future__ import annotations

from collections.abc import Mapping

from brokers.core.ports import RenderSubject, Standing
from devices.core.password_verifier import PasswordVerifier
from devices.core.values import DeviceState, DeviceSubject

# A barred name stays on the broker with its denies: where certificates prove identity, an unknown name may connect too,
# and whatever else the broker's operator has configured (an ACL file) would hold for it.
STANDINGS: Mapping[DeviceState, Standing] = {
    DeviceState.PRE_REGISTERED: Standing.ABSENT,
    DeviceState.ENROLLING: Standing.ABSENT,
    DeviceState.ACTIVE: Standing.ADMITTED,
    DeviceState.QUARANTINED: Standing.ADMITTED,
    DeviceState.SUSPENDED: Standing.BARRED,
    DeviceState.REVOKED: Standing.BARRED,
    DeviceState.DECOMMISSIONED: Standing.BARRED,
}


def render_subject(
    subject: DeviceSubject, *, proved: bool = True, password: PasswordVerifier | None = None
) -> RenderSubject:
    """The device as a broker sees it; no policy unless it is admitted.

    `proved` is False if every certificate that it was given is revoked or on hold: some brokers learn that late. It is
    so too if it never had one, nor a `password` that the broker takes.
    """
    standing = STANDINGS[subject.device.state]
    if standing is Standing.ADMITTED and not proved:
        standing = Standing.BARRED
    is_admitted = standing is Standing.ADMITTED
    return RenderSubject(
        principal=subject.principal,
        policy=subject.policy if is_admitted else (),
        state=standing,
        password=password if is_admitted else None,
    )
