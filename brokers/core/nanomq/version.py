"""Which NanoMQ reads the file as it is meant: 0.23.8 and newer, as far as anybody looked."""

from __future__ import annotations

from brokers.core.versions import numbers_of
from kernel.core.errors import Conflict

_FIRST = (0, 23, 8)


class OldNanomq(Conflict):
    """Filters that are denied literally may be allowed by that NanoMQ."""

    code = "nanomq-too-old"


def refuse_old(version: str) -> None:
    """Raises OldNanomq if it said an older version, or what is none."""
    if version and numbers_of(version) < _FIRST:
        raise OldNanomq(
            f"This NanoMQ is {version[:64]}; before 0.23.8 it may let through what the file denies: upgrade it, to "
            "0.23.8 at least."
        )
