"""Reading on in the access logs of HiveMQ's nodes: each line once, whatever becomes of files, process and database."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from pytest_django import Settings

from brokers import models, services
from brokers.adapters import hivemq_access_log
from brokers.adapters.hivemq_access_log import LogFolder, watch_log
from brokers.adapters.hivemq_ese import HivemqEseAdapter
from brokers.adapters.hivemq_files import HivemqCeFileAdapter, HivemqEseFileAdapter
from brokers.adapters.shared_folder import UnsafeFolder
from brokers.core.connection_changes import shown_connection
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import AccessKind, AdapterKind, BrokerEvent, BrokerId
from kernel.core.clock import utc_now
from tests.brokers.fleet import Fleet
from tests.brokers.links import broker_link


class Nodes:
    """The folder that HiveMQ's nodes write into, and what of it the access log holds."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        folder.mkdir(parents=True)
        row = models.Broker.objects.create(
            domain_id=fleet.domain.id, name="hall-8", kind=AdapterKind.HIVEMQ_ESE_FILE, connection=b"",
            created_at=utc_now(),
        )  # fmt: skip
        self.folder, self.broker = folder, BrokerId(row.id)
        self.at = datetime(2026, 11, 21, 8, tzinfo=UTC)

    def line(self, client: str) -> str:
        """Each a second after the one before."""
        self.at += timedelta(seconds=1)
        when = self.at.strftime("%Y-%m-%d %H:%M:%S,000")
        return (
            f"{when} UTC - access.authorization-succeeded - Client succeeded authorization: ID {client}, IP 192.0.2.7\n"
        )

    def write(self, name: str, *clients: str, mode: str = "a") -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open(mode) as file:
            file.writelines(map(self.line, clients))
        return path

    def starts(self) -> LogFolder:
        """A process that knows what was written down."""
        return LogFolder(self.broker, self.folder)

    def take(self, reading: LogFolder) -> None:
        """Writes down what is new, as it is everywhere."""
        services.note_events(broker=self.broker, events=list(reading.read_on()))

    @property
    def clients(self) -> list[str]:
        rows = models.AccessEvent.objects.filter(kind=AccessKind.ALLOWED).order_by("id")
        return list(rows.values_list("client_id", flat=True))


@pytest.fixture
def nodes(fleet: Fleet, tmp_path: Path) -> Nodes:
    return Nodes(fleet, tmp_path / "log")


def test_clock_that_was_not_set_yet_has_no_line_read_twice(nodes: Nodes) -> None:
    right, nodes.at = nodes.at, datetime(1970, 1, 1, tzinfo=UTC)
    nodes.write("access.log", "a")
    nodes.at = right
    nodes.write("access.log", "b")
    nodes.write("elsewhere/access.log", "c")
    nodes.at = datetime(1970, 1, 1, tzinfo=UTC)
    nodes.write("third/access.log", "d")
    began = utc_now()
    nodes.take(nodes.starts())
    services.roll_access_log(now=utc_now())
    nodes.take(nodes.starts())
    assert sorted(nodes.clients) == ["a", "b", "c", "d"]
    told = dict(models.AccessEvent.objects.values_list("client_id", "at"))
    assert told["b"] == right + timedelta(seconds=1)
    assert told["a"] >= began <= told["d"]


def test_each_line_is_taken_once_over_days_and_restarts(nodes: Nodes) -> None:
    reading = nodes.starts()
    access = nodes.write("access.log", "a", "b")
    nodes.take(reading)
    nodes.take(reading)
    nodes.write("access.log", "c")
    access.rename(nodes.folder / "access.2026-11-21.log")
    nodes.write("access.log", "d")
    nodes.take(reading)
    assert nodes.clients == ["a", "b", "c", "d"]

    access.rename(nodes.folder / "access.2026-11-22.log")  # while nobody reads, twice
    nodes.write("access.2026-11-22.log", "e")
    nodes.write("access.log", "f")
    nodes.take(nodes.starts())
    nodes.take(nodes.starts())
    assert nodes.clients == ["a", "b", "c", "d", "e", "f"]
    assert not models.Session.objects.exists(), "no line tells of an end"


def test_half_a_line_waits_for_its_other_half(nodes: Nodes) -> None:
    reading, line = nodes.starts(), nodes.line("a")
    access = nodes.folder / "access.log"
    for part in (line[:10], line[10:80], line[80:]):
        assert nodes.clients == []
        with access.open("a") as file:
            file.write(part)
        nodes.take(reading)
    assert nodes.clients == ["a"]


def test_file_that_is_emptied_begins_anew_and_a_copy_is_no_other_file(nodes: Nodes) -> None:
    reading = nodes.starts()
    access = nodes.write("access.log", "a", "b", "c")
    nodes.take(reading)
    (nodes.folder / "access.1.log").write_bytes(access.read_bytes())
    nodes.write("access.log", "d", mode="w")
    nodes.take(reading)
    assert nodes.clients == ["a", "b", "c", "d"]


def test_what_was_read_and_not_written_down_is_read_again(nodes: Nodes) -> None:
    nodes.write("access.log", "a", "b", "c")
    first, *_ = nodes.starts().read_on()
    services.note_events(broker=nodes.broker, events=[first])  # and the process ends
    nodes.take(nodes.starts())
    assert nodes.clients == ["a", "b", "c"]


def test_each_node_has_its_file_in_the_folder_or_in_one_of_its_own(nodes: Nodes) -> None:
    (nodes.folder / "n-3").mkdir()
    for name in ("access-n1.log", "n-2/access.log", "n-3/access.log"):
        nodes.at = datetime(2026, 11, 21, 8, tzinfo=UTC)  # the very same line in each folder
        nodes.write(name, "a", name[:3])
    nodes.write("access.txt", "not a log")
    reading = nodes.starts()
    nodes.take(reading)
    nodes.write("n-2/access.log", "z")
    nodes.take(reading)
    assert sorted(nodes.clients) == ["a", "a", "a", "acc", "n-2", "n-3", "z"]


def test_what_ended_long_ago_and_was_never_read_is_left_alone(nodes: Nodes) -> None:
    for days, name in ((4, "older"), (2, "newer")):
        before = (utc_now() - timedelta(days=days)).timestamp()
        os.utime(nodes.write(f"access.{name}.log", name), (before, before))
    nodes.take(nodes.starts())
    assert nodes.clients == ["newer"]


def test_neither_links_nor_pipes_nor_endless_lines_are_read(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "secret.log").write_text(nodes.line("secret"))
    (nodes.folder / "linked.log").symlink_to(tmp_path / "secret.log")
    (nodes.folder / "elsewhere").symlink_to(tmp_path)
    os.mkfifo(nodes.folder / "pipe.log")
    long = nodes.line("admin, IP 198.51.100.1, " + "x" * 9_000)
    (nodes.folder / "access.log").write_text("no line of it\n" + long + nodes.line("a") + "y" * 2_000_000)
    reading = nodes.starts()
    for _ in range(4):
        nodes.take(reading)
    assert nodes.clients == ["", "a"]


def test_a_log_that_is_long_is_read_in_parts(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hivemq_access_log, "AT_ONCE", 250)
    nodes.write("access.log", *"abcdefg")
    reading = nodes.starts()
    for _ in range(7):
        nodes.take(reading)
    assert nodes.clients == list("abcdefg")


def test_watching_begins_with_nothing_missed_and_ends_when_it_is_told(
    nodes: Nodes, settings: Settings, tmp_path: Path
) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    (tmp_path / "brokers").mkdir()
    connection = {"files": {"directory": "hall"}, "log": {"directory": "log"}}
    link = broker_link(AdapterKind.HIVEMQ_ESE_FILE, connection)
    stop = Event()
    with pytest.raises(UnsafeFolder):
        next(watch_log(link, stop))
    nodes.folder.rename(tmp_path / "brokers" / "log")
    nodes.folder = tmp_path / "brokers" / "log"
    nodes.write("access.log", "a")
    found: list[BrokerEvent | None] = []
    for event in HivemqEseFileAdapter(link=link).watch(stop):
        found.append(event)
        if len(found) == 3:
            stop.set()
    assert [event and event.client_id for event in found] == [None, "a", None]
    again = HivemqEseFileAdapter(link=link).watch(Event())
    next(again)
    (nodes.folder / "access.log").unlink()
    nodes.folder.rmdir()
    with pytest.raises(BrokerUnreachable):
        next(again)


def test_who_names_no_folder_is_told_nothing() -> None:
    stop = Event()
    stop.set()
    assert list(watch_log(broker_link(AdapterKind.HIVEMQ_ESE_FILE, {"files": {"directory": "hall"}}), stop)) == []


def test_only_the_extension_has_such_a_log() -> None:
    with_log = {"files": {"directory": "hall"}, "log": {"directory": "hall-log"}}
    assert not HivemqEseFileAdapter.connection_errors(with_log)
    assert shown_connection(with_log).members["log/directory"] == "hall-log"
    [error] = HivemqCeFileAdapter.connection_errors(with_log)
    assert error.pointer == "/connection/log"
    sql = {"host": "127.0.0.1", "port": 5432, "database": "ese", "username": "g", "password": "x"}
    assert not HivemqEseAdapter.connection_errors(sql | {"log": {"directory": "hall-log"}})
    for wrong in ({"directory": "../up"}, {"directory": ""}, "hall-log"):
        [error] = HivemqEseAdapter.connection_errors(sql | {"log": wrong})
        assert error.pointer == "/connection/log/directory"
