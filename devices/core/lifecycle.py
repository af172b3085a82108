"""The life of a device: which state may follow which.

A quarantined device may be suspended, which takes away what is left to it; the other way it has to be resumed first.
"""

from __future__ import annotations

from devices.core.values import DeviceState as S
from kernel.core.errors import Conflict

_FOLLOWS: dict[S, frozenset[S]] = {
    S.PRE_REGISTERED: frozenset({S.ENROLLING, S.REVOKED, S.DECOMMISSIONED}),
    S.ENROLLING: frozenset({S.ACTIVE, S.PRE_REGISTERED, S.REVOKED, S.DECOMMISSIONED}),
    S.ACTIVE: frozenset({S.SUSPENDED, S.QUARANTINED, S.REVOKED, S.DECOMMISSIONED}),
    S.SUSPENDED: frozenset({S.ACTIVE, S.REVOKED, S.DECOMMISSIONED}),
    S.QUARANTINED: frozenset({S.ACTIVE, S.SUSPENDED, S.REVOKED, S.DECOMMISSIONED}),
    S.REVOKED: frozenset({S.DECOMMISSIONED}),
    S.DECOMMISSIONED: frozenset(),
}
ENDED = frozenset({S.REVOKED, S.DECOMMISSIONED})
"""Out of use for good, and kept for the record."""
_RESUMABLE = frozenset({S.SUSPENDED, S.QUARANTINED, S.ACTIVE})


class WrongState(Conflict):
    """The device's state forbids it."""

    code = "device-state"


def check_transition(*, before: S, after: S) -> None:
    """Raises WrongState unless `after` may follow `before`."""
    if after not in _FOLLOWS[before]:
        possible = ", ".join(sorted(_FOLLOWS[before])) or "nothing: it has ended"
        raise WrongState(f"A device that is {before} can not become {after}; it can become {possible}.")


def check_resumable(state: S) -> None:
    """Raises WrongState unless an operator may make the device active: only enrolment does so the first time."""
    if state not in _RESUMABLE:
        raise WrongState(f"A device that is {state} can not be resumed: only one suspended or quarantined can.")
