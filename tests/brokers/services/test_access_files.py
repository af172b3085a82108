"""The daily files of the access log, and how long everything is kept."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from brokers import models, queries, services
from brokers.core.access.lines import line_document
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessEvent, AccessKind, AdapterKind, Broker, BrokerEvent
from brokers.queries import AccessFileNotFound
from devices import services as devices
from devices.core.names import BadName
from devices.core.values import Domain
from tests.cast import ADA

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def domain(db: None, tmp_path: Path, settings: Settings) -> Domain:
    settings.GATEHOUSE_HOME = tmp_path
    settings.GATEHOUSE_ACCESS_LOG_DAYS = 30
    settings.GATEHOUSE_ACCESS_FILE_DAYS = 365
    return devices.create_domain(slug="north", name="North", actor=ADA, now=NOW)


@pytest.fixture
def broker(domain: Domain) -> Broker:
    return services.register_broker(
        domain=domain.id,
        name="hall-7",
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": "pw"},
        actor=ADA,
        now=NOW,
    )


def deny(broker: Broker, at: datetime, topic: str = "a/b") -> None:
    event = BrokerEvent(
        at=at,
        kind=AccessKind.DENIED,
        action=AccessAction.PUBLISH,
        topic=topic,
        qos=1,
        reason=AccessReason.NOT_ALLOWED,
        auth_id="p-1",
        client_id="p-1",
    )
    services.note_events(broker=broker.id, events=[event])


def read(day: date) -> list[dict[str, object]]:
    octets = b"".join(queries.read_access_file(queries.find_access_file(domain="north", day=day.isoformat())))
    return [json.loads(line) for line in gzip.decompress(octets).decode().split("\n")[:-1]]


def test_day_that_has_ended_is_a_file(broker: Broker) -> None:
    deny(broker, datetime(2026, 11, 20, 0, 0, 0, tzinfo=UTC))
    deny(broker, datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=UTC), "c\nd\u2028")
    deny(broker, datetime(2026, 11, 21, tzinfo=UTC))
    assert services.roll_access_log(now=NOW).made == 1
    first, second = read(date(2026, 11, 20))
    assert (first["at"], first["topic"]) == ("2026-11-20T00:00:00Z", "a/b")
    assert {name: first[name] for name in ("broker", "kind", "action", "qos", "reason", "auth_id", "device")} == {
        "broker": "hall-7",
        "kind": "denied",
        "action": "publish",
        "qos": 1,
        "reason": "not-allowed",
        "auth_id": "p-1",
        "device": None,
    }
    assert second["topic"] == "c\nd\u2028"
    [listed] = queries.list_access_files(domain="north")
    assert (listed.day, listed.octets > 0) == (date(2026, 11, 20), True)


def test_line_of_a_clock_that_is_wrong_is_kept_as_long_as_others(broker: Broker) -> None:
    hours = timedelta(hours=23)
    for at in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), NOW - hours, NOW + hours):
        event = BrokerEvent(at=at, kind=AccessKind.REFUSED, client_id="p-1")
        services.note_events(broker=broker.id, events=[event], now=NOW)
    assert services.roll_access_log(now=NOW).forgotten == 0
    kept = models.AccessEvent.objects.order_by("at").values_list("at", flat=True)
    assert list(kept) == [NOW - hours, NOW, NOW, NOW + hours]
    assert services.roll_access_log(now=NOW + timedelta(days=40)).forgotten == 4


def test_session_of_long_ago_is_known_again_though_its_line_is_of_now(broker: Broker) -> None:
    began = NOW - timedelta(days=9)
    event = BrokerEvent(at=began, kind=AccessKind.CONNECTED, client_id="p-1", connection_id="S1.7")
    for _ in range(2):
        services.replace_sessions(broker=broker.id, present=[event], now=NOW)
    assert list(models.AccessEvent.objects.values_list("at", flat=True)) == [NOW]
    assert list(models.Session.objects.values_list("connected_at", flat=True)) == [began]


def test_file_is_made_once_and_not_before_the_day_has_ended(broker: Broker) -> None:
    deny(broker, datetime(2026, 11, 20, 5, tzinfo=UTC))
    assert services.roll_access_log(now=datetime(2026, 11, 21, 0, 29, tzinfo=UTC)).made == 0
    assert services.roll_access_log(now=datetime(2026, 11, 21, 0, 31, tzinfo=UTC)).made == 1
    assert services.roll_access_log(now=NOW).made == 0


def test_line_that_comes_late_gets_into_the_file_of_its_day(broker: Broker) -> None:
    day = datetime(2026, 11, 20, tzinfo=UTC)
    deny(broker, day + timedelta(hours=5), "in time")
    services.roll_access_log(now=NOW)
    deny(broker, day + timedelta(hours=4), "late")
    assert services.roll_access_log(now=NOW).made == 1
    assert [line["topic"] for line in read(day.date())] == ["late", "in time"]
    assert services.roll_access_log(now=NOW).made == 0


def test_file_is_not_made_anew_of_less_than_it_has(broker: Broker) -> None:
    day = (NOW - timedelta(days=29)).date()
    for hour in (0, 12, 23):
        deny(broker, datetime(day.year, day.month, day.day, hour, tzinfo=UTC))
    services.roll_access_log(now=NOW)
    assert services.roll_access_log(now=NOW + timedelta(days=1)).forgotten == 0, "the day is kept whole"
    assert services.roll_access_log(now=NOW + timedelta(days=2)).forgotten == 3
    deny(broker, datetime(day.year, day.month, day.day, 13, tzinfo=UTC))
    services.roll_access_log(now=NOW + timedelta(days=2))
    assert len(read(day)) == 4


def test_late_lines_of_a_day_that_left_the_table_come_behind_what_its_file_has(broker: Broker) -> None:
    """However many they are: a node that was away for weeks, or whose clock stood, takes no other's lines away."""
    day = datetime(2026, 10, 20, tzinfo=UTC)
    deny(broker, day, "in time")
    assert services.roll_access_log(now=NOW).forgotten == 1
    for times in (1, 2):
        for _ in range(2):
            deny(broker, day, "late")
        assert services.roll_access_log(now=NOW).made == 1
        assert [line["topic"] for line in read(day.date())] == ["in time", *times * ["late", "late"]]
    assert models.AccessEvent.objects.count() == 0
    assert services.roll_access_log(now=NOW).made == 0


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("dies_in", [{1}, {2}, {1, 2}])
@pytest.mark.parametrize("steps", range(1, 7))
def test_whoever_dies_rolling_the_log_loses_no_line_and_writes_none_twice(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, steps: int, dies_in: set[int]
) -> None:
    """It dies after each step: a file in its place, what is kept of it, lines that have left one by one."""
    day, left = datetime(2026, 10, 20, tzinfo=UTC), [steps]
    monkeypatch.setattr("brokers.services.access_files._AT_ONCE", 1)

    def killed_behind(owner: type, name: str) -> None:
        goes_on = getattr(owner, name)

        def step(*given: Any, **named: Any) -> Any:
            done = goes_on(*given, **named)
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return done

        patch.setattr(owner, name, step)

    for number, topics in ((1, "ab"), (2, "cd")):
        for topic in topics:
            deny(broker, day + timedelta(hours=number), topic)
        left[0] = steps if number in dies_in else 0
        with monkeypatch.context() as patch, suppress(Killed):
            killed_behind(Path, "replace")
            killed_behind(models.AccessFile, "save")
            killed_behind(QuerySet, "delete")
            services.roll_access_log(now=NOW)
    services.roll_access_log(now=NOW)
    assert sorted(str(line["topic"]) for line in read(day.date())) == ["a", "b", "c", "d"]
    assert models.AccessEvent.objects.count() == 0


def test_one_of_two_at_once_rolls_the_log(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(broker, NOW - timedelta(days=2))
    others = []

    def slowly(event: AccessEvent) -> dict[str, object]:
        others.append(services.roll_access_log(now=NOW).made)
        return line_document(event)

    monkeypatch.setattr("brokers.services.access_files.line_document", slowly)
    assert (services.roll_access_log(now=NOW).made, others) == (1, [0])


def test_rolling_the_log_costs_by_what_is_new(broker: Broker) -> None:
    def roll(since: int) -> int:
        for days in range(since, since + 10):
            deny(broker, NOW - timedelta(days=days))
        services.roll_access_log(now=NOW)
        deny(broker, NOW - timedelta(days=1), "new")
        with CaptureQueriesContext(connection) as captured:
            assert services.roll_access_log(now=NOW).made == 1
        assert not any("COUNT(" in query["sql"] for query in captured)
        return len(captured)

    assert roll(1) == roll(11)


@pytest.mark.several_writers
@pytest.mark.django_db(transaction=True)
def test_line_that_is_committed_behind_a_later_one_is_not_passed_over(tmp_path: Path, settings: Settings) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    north, begun = devices.create_domain(slug="north", name="North", actor=ADA, now=NOW), Event()

    def write(topic: str) -> None:
        at = NOW - timedelta(days=1)
        models.AccessEvent.objects.create(domain_id=north.id, at=at, kind=AccessKind.DENIED, topic=topic)

    def write_slowly() -> None:
        with transaction.atomic():
            write("slow")
            begun.set()
            sleep(0.5)
        connection.close()

    slow = Thread(target=write_slowly)
    slow.start()
    assert begun.wait(30)
    write("fast")
    services.roll_access_log(now=NOW)
    slow.join(30)
    services.roll_access_log(now=NOW)
    assert [line["topic"] for line in read((NOW - timedelta(days=1)).date())] == ["slow", "fast"]


def test_lines_leave_the_table_only_after_their_file_is_made(broker: Broker) -> None:
    deny(broker, NOW - timedelta(days=31))
    deny(broker, NOW - timedelta(days=29))
    done = services.roll_access_log(now=NOW)
    assert (done.made, done.forgotten) == (2, 1)
    assert models.AccessEvent.objects.count() == 1
    assert len(read((NOW - timedelta(days=31)).date())) == 1


def test_old_files_are_removed(broker: Broker) -> None:
    deny(broker, NOW - timedelta(days=2))
    services.roll_access_log(now=NOW)
    assert services.roll_access_log(now=NOW + timedelta(days=362)).removed == 0
    assert services.roll_access_log(now=NOW + timedelta(days=364)).removed == 1
    with pytest.raises(AccessFileNotFound):
        read((NOW - timedelta(days=2)).date())


def test_counts_of_use_are_kept_a_little_more_than_a_year(broker: Broker) -> None:
    for days in (399, 401):
        day = (NOW - timedelta(days=days)).date()
        models.HeardDay.objects.create(broker_id=broker.id, day=day, minutes=1, publishes=0, subscribes=0)
    services.roll_access_log(now=NOW)
    assert models.HeardDay.objects.count() == 1


def test_file_that_can_not_be_ended_leaves_nothing(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(broker, NOW - timedelta(days=2))
    with monkeypatch.context() as patch:
        patch.setattr("brokers.services.access_files.line_document", _fail)
        with pytest.raises(OSError, match="full"):
            services.roll_access_log(now=NOW)
    assert list(queries.access_folder(domain="north").iterdir()) == []
    assert services.roll_access_log(now=NOW).made == 1


def _fail(_event: object) -> dict[str, object]:
    raise OSError("the disk is full")


def test_slug_is_no_path_to_anywhere_else(domain: Domain) -> None:
    for slug in ("..", "north/..", "../north", "."):
        with pytest.raises(BadName):
            queries.access_folder(domain=slug)
