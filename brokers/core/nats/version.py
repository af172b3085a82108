"""Which NATS servers do what they are told to withhold.

Before 2.12.14, in 2.13 and before 2.14.5 messages that are denied are brought to subscriptions of QoS 1 and 2 or out of
what is retained, or subscriptions reach what is the server's own. Which mends a pre-release has nobody tells.
"""

from __future__ import annotations

import re

from kernel.core.errors import Conflict

FIT = "release 2.12.14 or, of 2.14 and newer, 2.14.5"
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:\+[0-9A-Za-z.-]+)?")  # a build is told by +, as in SemVer


class LeakyNats(Conflict):
    """The server brings messages that are denied."""

    code = "nats-too-old"


def withholds(version: str) -> bool:
    """Whether a server of that version does; not if it is a pre-release, or can not be read."""
    found = _VERSION.fullmatch(version)
    told = tuple(map(int, found.groups())) if found else ()
    return told >= (2, 14, 5) or (2, 12, 14) <= told < (2, 13)


def refuse_leaky(version: str) -> None:
    """Raises LeakyNats if the server said a version that is none of those."""
    if version and not withholds(version):
        raise LeakyNats(
            f"This NATS server is {version[:64]}, which brings messages that are denied: upgrade it, to {FIT} at least."
        )
