"""A broker's version as numbers."""

from __future__ import annotations

import re

_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?!\d)")


def numbers_of(version: str) -> tuple[int, int, int] | None:
    """What a text such as `5.8.9` or `6.3.0-beta.2` begins with; None if it does not begin so."""
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
