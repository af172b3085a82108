from __future__ import annotations

import pytest

from brokers.core.mosquitto.version import version_in, version_note


@pytest.mark.parametrize(
    ("said", "version", "note"),
    [
        ("mosquitto version 2.0.11", "2.0.11", ""),
        ("2.0.22", "2.0.22", ""),
        ("mosquitto version 1.6.15", "1.6.15", "Mosquitto 1.6.15 has no dynamic security: take 2.0 or newer"),
        ("mosquitto version 2.1.2", "2.1.2", "speaks to Mosquitto 2.1.2 as to 2.0"),
        ("mosquitto version 10.0", "10.0", "speaks to Mosquitto 10.0 as to 2.0"),
        ("ActiveMQ", "ActiveMQ", "says that its version is 'ActiveMQ': Gatehouse takes it for a Mosquitto 2.0"),
        ("2", "2", "says that its version is '2'"),
        ("\x00\x1b[31m\u202e \n", "[31m", "says that its version is '[31m'"),
        ("", "", "does not say its version"),
        ("9" * 1_000_000, "9" * 64, "says that its version is '999"),
    ],
)
def test_version_is_shown_and_one_that_is_not_2_0_is_told(said: str, version: str, note: str) -> None:
    found = version_in(said)
    assert found == version
    assert note in version_note(found)
    assert bool(version_note(found)) is bool(note)
