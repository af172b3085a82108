"""What RabbitMQ's MQTT plugin makes of names with a colon: a virtual host, and an account of what stands behind it.

It does so with the name in a certificate too, unless its `ignore_colons_in_username` is set, which nobody can ask it.
"""

from __future__ import annotations

from collections.abc import Collection

COLONS = (
    "RabbitMQ takes a name with a colon for a virtual host and an account, and its device does not get in, unless "
    "ignore_colons_in_username is set in advanced.config (docs/howto/rabbitmq.md)."
)


def taken_for(name: str, *, vhost: str, ours: Collection[str], foreign: Collection[str]) -> str:
    """The account of another that a certificate of that name may open; empty if there is none.

    Those of ours have permissions in that virtual host alone, those of others wherever they have them.
    """
    where, colon, other = name.rpartition(":")
    return other if colon and (other in foreign or (where == vhost and other in ours)) else ""


def mistaken(names: Collection[str], *, vhost: str, ours: Collection[str], foreign: Collection[str]) -> dict[str, str]:
    """Those of these names whose certificate may open the account of another, with sentences that say so."""
    found = {name: taken_for(name, vhost=vhost, ours=ours, foreign=foreign) for name in names}
    return {
        name: f"To RabbitMQ the name {name!r} is the account {other!r} in a virtual host, which is somebody else's: "
        "rename the device, or that account."
        for name, other in found.items()
        if other
    }
