from __future__ import annotations

import pytest

from brokers.core.nats.version import LeakyNats, refuse_leaky, withholds


@pytest.mark.parametrize(
    "version",
    ["2.12.14", "2.12.99", "2.14.5", "2.14.10", "2.15.0", "2.15.1", "v2.15.1", "2.15.1+deb12u1", "2.100.0", "3.0.0"],
)
def test_these_withhold_what_is_denied(version: str) -> None:
    assert withholds(version)
    refuse_leaky(version)


@pytest.mark.parametrize(
    "version",
    [
        "2.9.10",
        "2.10.29",
        "2.12.13",
        "2.12.9",
        "2.13.0",
        "2.13.99",
        "2.14.0",
        "2.14.4",
        "2.14",
        "2.12.14-RC.1",
        "2.14.5-RC.1",
        "2.15.0-preview.2",
        "2.16.0-dev",
        "2.14.5RC1",
        "2.15.1+",
        "2.15.1 or so",
        "1.4.1",
        "0.0.0",
        "new",
    ],
)
def test_these_do_not_or_nobody_knows(version: str) -> None:
    assert not withholds(version)
    with pytest.raises(LeakyNats, match="upgrade it"):
        refuse_leaky(version)


def test_where_nothing_was_read_there_is_nothing_to_refuse() -> None:
    assert not withholds("")
    refuse_leaky("")
