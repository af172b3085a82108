"""One running installation for all tests of the listener as a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.house import Fleet, House
from tests.e2e.user import Application


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    house = House(tmp_path_factory.mktemp("house") / "home")
    house.facts = house.quickstart()
    house.start()
    known = house.facts["application"]
    application = Application(house.url, known["client_id"], known["client_secret"])
    yield Fleet(house, application, tmp_path_factory.mktemp("keys"))
    house.stop()
