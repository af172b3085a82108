"""Texts of a broker's as they are kept: it and whoever knocks there choose them."""

from __future__ import annotations

MOST_CHARACTERS = 255
"""Of a name."""


def spelled(text: str, *, most: int = MOST_CHARACTERS) -> str:
    """At most so many characters of it, without NUL and lone surrogates, which no database stores."""
    return text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
