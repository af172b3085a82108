"""`manage.py run`, whole: starting, starting again, losing a child, losing the parent, ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.house import ROOT, House
from tests.servers import wait_until

pytestmark = pytest.mark.e2e

CHILDREN = ("granian", "worker --queues revocation", "worker --queues policy", "beat", "listen", "nats-server")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("run") / "home")
    house.start()
    yield house
    house.stop()


def said(house: House) -> str:
    return (house.home / "run.log").read_text()


def attempt(house: House, **changes: str) -> subprocess.CompletedProcess[str]:
    """`manage.py run` where it can not start."""
    return subprocess.run(
        [sys.executable, "manage.py", "run"],
        cwd=ROOT,
        env=house.environment | changes,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_first_start_says_where_to_go_and_how_to_get_in(started: House) -> None:
    for words in ("Gatehouse is up", f"{started.url}/setup/", str(started.mqtt_port)):
        wait_until(lambda words=words: words in said(started), what=words)  # type: ignore[misc]


def test_everything_runs_once(started: House) -> None:
    wait_until(lambda: all(started.processes(words) for words in CHILDREN), what="every child")


@pytest.mark.parametrize("name", ["master.key", "secret.key", "gatehouse.sqlite3", "logs/web.log"])
def test_nobody_else_may_read_what_is_kept(started: House, name: str) -> None:
    assert (started.home / name).stat().st_mode & 0o777 == 0o600


def test_second_run_in_the_same_home_is_refused(started: House) -> None:
    done = attempt(started)
    assert done.returncode == 1
    assert "runs already" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("setting", ["GATEHOUSE_PORT", "GATEHOUSE_MQTT_PORT"])
def test_taken_port_is_named(started: House, tmp_path_factory: pytest.TempPathFactory, setting: str) -> None:
    other = House(tmp_path_factory.mktemp("other") / "home")
    done = attempt(other, **{setting: started.environment[setting]})
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"CommandError: Port {started.environment[setting]} is taken by another program: set {setting} to a free one."
    )


def test_wrong_setting_is_named_in_one_sentence(started: House) -> None:
    done = attempt(started, GATEHOUSE_PORT="eighty")
    assert done.returncode == 1
    assert done.stderr.strip() == "GATEHOUSE_PORT is 'eighty'; it has to be a whole number from 1 to 65535."


@pytest.mark.parametrize("words", ["worker --queues revocation", "granian", "nats-server", "listen", "beat"])
def test_killed_child_comes_back(started: House, words: str) -> None:
    wait_until(lambda: started.is_ready() and bool(started.processes(words)), what=f"{words} runs")
    before = started.processes(words)
    os.kill(min(before), signal.SIGKILL)

    def is_back() -> bool:
        found = set(started.processes(words))
        return bool(found) and not found & set(before)

    wait_until(is_back, what=f"{words} is back")
    wait_until(started.is_ready, what="it is ready again")


def test_second_start_finds_everything_and_tells_no_secret(started: House) -> None:
    before, key = started.quickstart(), (started.home / "master.key").read_bytes()
    started.stop()
    assert started.leftovers() == []
    (started.home / "run.log").write_text("")
    started.start()
    assert started.quickstart() == before
    assert (started.home / "master.key").read_bytes() == key
    for words in ("Gatehouse is up", before["application"]["client_id"]):
        wait_until(lambda words=words: words in said(started), what=words)  # type: ignore[misc]
    assert "/setup/" not in said(started)
    assert "secret" not in said(started)


def test_doctor_finds_a_running_installation_well(started: House) -> None:
    wait_until(lambda: '"well": true' in started.manage("doctor", "--json", check=False), what="well")


def test_nothing_survives_a_killed_parent(started: House) -> None:
    assert started.parent is not None
    started.parent.kill()
    started.parent.wait(60)
    wait_until(lambda: started.leftovers() == [], what="nothing is left")
    started.parent = None
