"""The life of a device's passwords: at most one active, one staged to follow it, one that retires.

A broker that asks takes each of them while it is good. One that keeps a single password for an account has the active
one, and the staged one once the active one has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NewType
from uuid import UUID

from devices.core.password_verifier import PasswordVerifier
from devices.core.values import LIVE_CREDENTIALS, CredentialState, DeviceId, DeviceState
from kernel.core.errors import Conflict, Invalid, NotFound

PasswordId = NewType("PasswordId", UUID)

OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=30)
MAY_BE_GIVEN = frozenset({DeviceState.PRE_REGISTERED, DeviceState.ACTIVE, DeviceState.QUARANTINED})
"""The states in which a device gets a password."""


class UnknownPassword(NotFound):
    """The device has no such password."""

    code = "password-unknown"


class PasswordThere(Conflict):
    """The device has a password already."""

    code = "password-there"


class NoPassword(Conflict):
    """The device has no password that could be followed by another."""

    code = "password-missing"


class BadOverlap(Invalid):
    """Two passwords can not be good for so long."""

    code = "password-overlap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A password of a device, without the password. It is good until `not_after`, None: until it is revoked.

    `last_used_at`: when it last proved the device to Gatehouse itself, to the hour; brokers that keep it do not tell.
    """

    id: PasswordId
    device: DeviceId
    state: CredentialState
    created_at: datetime
    not_after: datetime | None
    last_used_at: datetime | None = None
    verifier: PasswordVerifier = field(repr=False)

    def is_good(self, now: datetime) -> bool:
        """Whether it proves its device."""
        return self.state in LIVE_CREDENTIALS and (self.not_after is None or now < self.not_after)

    def state_at(self, now: datetime) -> CredentialState:
        """Its state as people see it: one that has ended is expired."""
        return CredentialState.EXPIRED if self.state in LIVE_CREDENTIALS and not self.is_good(now) else self.state


def on_brokers(passwords: Sequence[Password], *, now: datetime) -> Password | None:
    """The one of a device that a broker with room for one keeps; None if it may have none."""
    good = {each.state: each for each in passwords if each.is_good(now)}
    return good.get(CredentialState.ACTIVE) or good.get(CredentialState.STAGED)


def check_overlap(overlap: timedelta) -> None:
    """Raises BadOverlap."""
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise BadOverlap(f"The old password may stay good for 0 seconds to {LONGEST_OVERLAP.days} days.")
