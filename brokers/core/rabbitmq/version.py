"""Which RabbitMQ is spoken to, and what has to be known of one that is newer than the 3.10 it was tried with."""

from __future__ import annotations

from brokers.core.versions import numbers_of
from kernel.core.errors import Conflict

_TRIED = (3, 10)
_NEEDS_WILL_QUEUE = ((3, 13, 0), (3, 13, 1))  # rabbitmq-server pull request 11023


class UntriedRabbitmq(Conflict):
    """The broker is older than what Gatehouse was tried with, or does not say what it is."""

    code = "rabbitmq-too-old"


def refuse_untried(version: str) -> None:
    """Raises UntriedRabbitmq if what it said is older than 3.10, or no version: before 3.7 all may do everything."""
    if version and numbers_of(version) < _TRIED:
        raise UntriedRabbitmq(
            f"This RabbitMQ says that its version is {version[:64]!r}: Gatehouse was tried with 3.10, and an older one "
            "may allow more than it is told. Upgrade it."
        )


def version_note(version: str) -> str:
    """A sentence for people; empty for 3.10, and if it is not known."""
    numbers = numbers_of(version)
    if not numbers or numbers[:2] == _TRIED:
        return ""
    if numbers in _NEEDS_WILL_QUEUE:
        return (
            f"RabbitMQ {version} asks every device for a permission that it does not need, and lets nobody in: take "
            "3.13.2 or newer."
        )
    return f"Gatehouse speaks to RabbitMQ {version} as to 3.10, with which alone it was tried."
