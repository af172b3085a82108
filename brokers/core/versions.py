"""A broker's version as numbers."""

from __future__ import annotations

import re

_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4})(?!\d)|(?!\.?\d))")


def numbers_of(version: str) -> tuple[int, ...]:
    """The two or three numbers that a text such as `5.8.9` or `6.3.0-beta.2` begins with; none if it has no two.

    What is left out counts as less than 0, and what has none as older than every version.
    """
    found = _VERSION.match(version)
    return tuple(int(part) for part in found.groups() if part is not None) if found else ()
