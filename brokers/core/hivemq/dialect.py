"""What each of HiveMQ's formats can say, and which text HiveMQ takes."""

from __future__ import annotations

from dataclasses import dataclass

ESCAPE = "\u00a7"  # in file RBAC it takes the meaning of the variable behind it away


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one format can say.

    `conditions`: that only retained messages, or only shared subscriptions, are meant. `variable` is the spelling of
    the account's name in topics, empty if there is none that the account can not choose itself; `in_parts` if it may
    be a part of a level, `by_client_id` if what stands there is the client id. `trims`: blanks at the ends of a text
    may not survive. `personal`: accounts have permissions of their own. `keeps_barred`: an account that is barred has
    to stay, with nothing, lest it is taken for one without any permission. `wildcard_names`: the name of an account,
    or its client id, may have `+` and `#`.
    """

    conditions: bool = True
    variable: str = ""
    in_parts: bool = False
    by_client_id: bool = False
    trims: bool = True
    personal: bool = True
    keeps_barred: bool = True
    wildcard_names: bool = True


def is_text(text: str) -> bool:
    """Whether HiveMQ takes the text: no control characters, no surrogates or noncharacters of Unicode."""
    return text.isprintable() or not any(map(_is_control, text))


def _is_control(character: str) -> bool:
    point = ord(character)
    if point < 0x20 or 0x7F <= point <= 0x9F:
        return True
    return 0xD800 <= point <= 0xDFFF or 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE
