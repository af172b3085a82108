"""Domains north and south, ready to enrol devices."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from kernel.core.clock import utc_now
from tests.cast import NORTH, SOUTH
from tests.devices.factory import Factory
from tests.devices.openssl import Workshop


@pytest.fixture
def now() -> datetime:
    return utc_now()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def north(db: None, workshop: Workshop, now: datetime) -> Factory:
    return Factory(NORTH, "north", workshop, now)


@pytest.fixture
def south(db: None, workshop: Workshop, now: datetime) -> Factory:
    return Factory(SOUTH, "south", workshop, now)
