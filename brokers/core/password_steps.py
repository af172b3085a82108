"""From the passwords that a broker holds to those that it should: a step for each that differs."""

from __future__ import annotations

from collections.abc import Mapping

from brokers.core.password_texts import fingerprint
from brokers.core.ports import Step

SET, TAKE = "set-password", "take-password"


def password_steps(wanted: Mapping[str, str], present: Mapping[str, str]) -> list[Step]:
    """What to take away, then what to set, whose payload is the text itself; `present` are fingerprints by auth id."""
    gone = sorted(present.keys() - wanted.keys() - {""})
    steps = [Step(kind=TAKE, target=name, summary=f"Take the password of {name} away.") for name in gone]
    return steps + [
        Step(kind=SET, target=name, summary=f"The password of {name}.", payload=text)
        for name, text in sorted(wanted.items())
        if present.get(name) != fingerprint(text)
    ]
