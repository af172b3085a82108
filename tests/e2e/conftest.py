"""A running installation for the end-to-end tests: one with what a newcomer has, one as in production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.brokers import Embedded, LiveBroker, Mosquitto
from tests.e2e.house import Fleet, House
from tests.e2e.user import Application
from tests.servers import running_postgresql, running_redis


@pytest.fixture(scope="session")
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """As a newcomer has it, with SQLite and a queue of files; as in production for the parameter `postgresql`."""
    with ExitStack() as stack:
        servers = {}
        if getattr(request, "param", None) == "postgresql":
            servers["DATABASE_URL"] = stack.enter_context(running_postgresql())
            servers["REDIS_URL"] = stack.enter_context(running_redis())
        house = House(tmp_path_factory.mktemp("house") / "home", servers=servers)
        house.facts = house.quickstart()
        house.start()
        yield house
        house.stop()
        assert house.leftovers() == []


@pytest.fixture(scope="session")
def fleet(house: House, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    credentials = house.facts["application"]
    application = Application(house.url, credentials["client_id"], credentials["client_secret"])
    return Fleet(house, application, tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="session")
def mosquitto(house: House, fleet: Fleet) -> Iterator[Mosquitto]:
    """Set up, planned and applied over the API."""
    mosquitto = Mosquitto(house)
    mosquitto.set_up()
    plan = fleet.post(f"brokers/{mosquitto.name}/plan/", {}, status=200)
    sent = {"plan": plan["plan"], "accept_deviations": []}
    operation = fleet.post(f"brokers/{mosquitto.name}/apply/", sent, status=202)["operation"]
    assert fleet.wait_operation(operation)["state"] == "done"
    yield mosquitto
    mosquitto.stop()


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest, house: House) -> LiveBroker:
    """Each kind; both are of the same domain and run as long as the house does."""
    if request.param == "embedded":
        return Embedded(house)
    found: LiveBroker = request.getfixturevalue("mosquitto")
    return found
