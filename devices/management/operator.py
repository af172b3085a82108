"""Who acts when a command is typed: the shell's user, as an operator of the installation."""

from __future__ import annotations

import getpass

from kernel.core.actor import Actor, ActorKind


def shell_operator() -> Actor:
    """The shell's user."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        name = "unnamed"
    return Actor(kind=ActorKind.OPERATOR, id=f"command:{name}"[:64], label=f"{name} (command line)")
