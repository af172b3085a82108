"""What a Mosquitto says of its version, and what has to be known of one that is not the 2.0 it is spoken to as."""

from __future__ import annotations

from brokers.core.versions import numbers_of

_SPOKEN = (2, 0)
_MOST = 64


def version_in(text: str) -> str:
    """The version in what `$SYS/broker/version` says: at most 64 characters that can be shown."""
    return "".join(filter(str.isprintable, text.removeprefix("mosquitto version ")[: 4 * _MOST])).strip()[:_MOST]


def version_note(version: str) -> str:
    """A sentence for people; empty for 2.0."""
    numbers = numbers_of(version)[:2]
    if not numbers:
        said = f"says that its version is {version!r}" if version else "does not say its version ($SYS/broker/version)"
        return f"The broker {said}: Gatehouse takes it for a Mosquitto 2.0."
    if numbers < _SPOKEN:
        return f"Mosquitto {version} has no dynamic security: take 2.0 or newer, or register it as mosquitto-files."
    if numbers > _SPOKEN:
        return f"Gatehouse speaks to Mosquitto {version} as to 2.0, with which alone it was tried."
    return ""
