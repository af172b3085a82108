"""The regular expressions of RabbitMQ (Erlang's `re`: PCRE 8, on octets) with Python's engine.

Only those are taken that mean the same to both; what compilers write is among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from kernel.core.errors import Invalid

_PIECE = re.compile(
    rb"""
      \\z | \\Z | \\A                                          # \Z and $: also before a line feed at the end
    | \\x[0-9a-fA-F]{2} | \\[^A-Za-z0-9]
    | \(\?[:=!] | \((?![?*]) | \)
    | \[\^?(?:[^][\\&~|-]|-(?!-))+\]                           # no class in a class, no set operation
    | \{[0-9]+(?:,[0-9]*)?\} | [*+?] | [|.^$]
    | [^][\\(){}|.^$*+?]
    """,
    re.VERBOSE | re.DOTALL,
)
_ENDS = {rb"\z": rb"\Z", rb"\Z": rb"(?=\n?\Z)"}


class UnknownRegex(Invalid):
    """The regular expression has something in it that Python's engine may take otherwise than RabbitMQ."""

    code = "unknown-regex"


def found(pattern: str, text: str, variables: Mapping[str, str]) -> bool:
    """Whether RabbitMQ finds `pattern`, with its variables put in, anywhere in `text`. Raises UnknownRegex.

    An empty pattern is `^$`. The variables are put in one after the other, by name, as they are.
    """
    pattern = pattern or "^$"
    for name in sorted(variables):
        pattern = pattern.replace(f"{{{name}}}", variables[name])
    return _compiled(pattern).search(text.encode()) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[bytes]:
    octets = pattern.encode()
    pieces, position = [], 0
    while position < len(octets):
        piece = _PIECE.match(octets, position)
        if piece is None:
            raise UnknownRegex(f"It is not known what RabbitMQ makes of {pattern[:64]!r}: write it more plainly.")
        pieces.append(_ENDS.get(piece[0], piece[0]))
        position = piece.end()
    try:
        return re.compile(b"".join(pieces))
    except (re.error, RecursionError, OverflowError) as error:
        raise UnknownRegex(f"{pattern[:64]!r} is no regular expression.") from error
