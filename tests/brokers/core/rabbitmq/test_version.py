from __future__ import annotations

import pytest

from brokers.core.rabbitmq.version import UntriedRabbitmq, refuse_untried, version_note


@pytest.mark.parametrize(
    "version", ["3.9.29", "3.8.0", "2.10.1", "none", "ActiveMQ 5", "10000000000.1", "\u0663.\u0661"]
)
def test_what_is_older_than_3_10_or_no_version_is_refused(version: str) -> None:
    with pytest.raises(UntriedRabbitmq, match=r"tried with 3\.10"):
        refuse_untried(version)


@pytest.mark.parametrize("version", ["3.10.0", "3.10.8+dfsg", "3.13.7", "4.3.1", "10.0", ""])
def test_what_is_not_older_is_spoken_to(version: str) -> None:
    refuse_untried(version)


@pytest.mark.parametrize(
    ("version", "note"),
    [
        ("3.10.8", ""),
        ("3.10.8.1", ""),
        ("3.12.14", "speaks to RabbitMQ 3.12.14 as to 3.10"),
        ("3.13.0", "lets nobody in: take 3.13.2"),
        ("3.13.1", "lets nobody in: take 3.13.2"),
        ("3.13.2", "speaks to RabbitMQ 3.13.2 as to 3.10"),
        ("4.0.9", "speaks to RabbitMQ 4.0.9 as to 3.10"),
    ],
)
def test_what_is_newer_than_what_was_tried_is_told(version: str, note: str) -> None:
    assert note in version_note(version)
    assert bool(version_note(version)) is bool(note)
