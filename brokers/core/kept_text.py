"""Texts of a broker's as they are kept: it and whoever knocks there choose them."""

from __future__ import annotations

import hashlib
import re

MOST_CHARACTERS = 255
"""Of a name."""
_DIGITS = 32
_CUT = "\N{HORIZONTAL ELLIPSIS}"
_MADE_HERE = re.compile(rf"{_CUT}[0-9a-f]{{{_DIGITS}}}\Z")


def spelled(text: str, *, most: int = MOST_CHARACTERS) -> str:
    """At most so many characters of it, without NUL and lone surrogates, which no database stores."""
    return text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def kept_name(text: str) -> str:
    """The name as it is kept: of no other name is the same kept.

    Of one that can not be kept as it is, or ends as what is made here, its beginning and a digest.
    """
    if text == spelled(text) and not _MADE_HERE.search(text):
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    return f"{spelled(text, most=MOST_CHARACTERS - _DIGITS - 1)}{_CUT}{digest}"
