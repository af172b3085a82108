"""What RabbitMQ's MQTT plugin makes of names with a colon: a virtual host, and an account of what stands behind it.

It does so with the name in a certificate too, unless its `ignore_colons_in_username` is set, which nobody can ask it.
"""

from __future__ import annotations

from collections.abc import Collection

from kernel.core.errors import Conflict

COLONS = (
    "Names with a colon are a virtual host and an account to RabbitMQ, and their devices do not get in: set "
    "ignore_colons_in_username in advanced.config (docs/howto/rabbitmq.md)."
)


class NameMistaken(Conflict):
    """The certificate of a device opens the account of another name."""

    code = "rabbitmq-name-mistaken"


def taken_for(name: str) -> str:
    """The account that a certificate of that name may open; the name itself without a colon."""
    return name.rpartition(":")[2]


def refuse_mistaken(names: Collection[str], accounts: Collection[str]) -> None:
    """Raises NameMistaken if the certificate of one of these names may open one of these accounts, another's."""
    for name in sorted(names):
        if ":" in name and taken_for(name) in accounts:
            raise NameMistaken(
                f"To RabbitMQ the name {name!r} is the account {taken_for(name)!r} in a virtual host, which is "
                "somebody else's: rename the device, or that account."
            )
