"""What is used and what is denied, counted in memory and written down."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import DatabaseError

from acl.core.evaluation import evaluate
from acl.core.values import Principal, Publish, Receive, Request, Subscribe
from brokers import models, services
from brokers.core.access.counts import MOST_TOPICS
from brokers.core.values import AdapterKind, Broker
from brokers.services import policy_use, policy_use_rows
from brokers.services.policy_use import UseNotes
from devices import services as devices
from kernel.core.clock import utc_now
from tests.brokers.subjects import ALL, DOWN, UP, subject
from tests.cast import ADA, NOW


class House:
    """A broker, a device that no table knows, and notes whose clock stands still."""

    def __init__(self) -> None:
        domain = devices.create_domain(slug="north", name="North", actor=ADA, now=NOW)
        self.broker: Broker = services.register_broker(
            domain=domain.id,
            name="hall-7",
            kind=AdapterKind.MOSQUITTO_DYNSEC,
            connection={"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": "pw"},
            actor=ADA,
            now=utc_now(),
        )
        self.subject = subject("p-1", UP, DOWN, ALL)
        self.clock = 0.0
        self.notes = UseNotes(clock=lambda: self.clock)

    @property
    def principal(self) -> Principal:
        return self.subject.principal

    def ask(self, request: Request, *, days: int = 0) -> None:
        """The policy's own verdict is noted."""
        verdict = evaluate(self.subject.policy, self.principal, request)
        now = NOW + timedelta(days=days)
        self.notes.note(broker=self.broker.id, principal=self.principal, request=request, verdict=verdict, now=now)


@pytest.fixture
def house(db: None) -> House:
    return House()


def uses() -> list[tuple[int, list[str]]]:
    return [(row.count, row.filters) for row in models.RuleUse.objects.order_by("day", "id")]


def denials() -> list[tuple[str, str, str, int]]:
    rows = models.DeniedAttempt.objects.order_by("id")
    return [(row.action, row.topic, row.reason, row.count) for row in rows]


def test_use_of_a_rule_is_counted_by_day(house: House) -> None:
    house.ask(Publish(topic="north/p-1/up/t"))
    house.ask(Publish(topic="north/p-1/up/t"))
    house.ask(Publish(topic="north/p-1/up/alarm"), days=1)
    house.notes.flush()
    assert uses() == [
        (2, ["${domain}/${client_id}/up/t"]),
        (1, ["${domain}/${client_id}/up/alarm"]),
    ]
    assert {(row.rule_id, row.last_device_id) for row in models.RuleUse.objects.all()} == {
        (UP.rule.id, UUID(house.principal.id))
    }


def test_later_counts_are_added_to_earlier_ones(house: House) -> None:
    house.ask(Publish(topic="north/p-1/up/t"))
    house.notes.flush()
    house.ask(Publish(topic="north/p-1/up/u"))
    house.notes.flush()
    assert uses() == [(2, ["${domain}/${client_id}/up/t", "${domain}/${client_id}/up/u"])]


def test_topics_that_are_too_many_are_no_longer_told(house: House) -> None:
    for number in range(17):
        house.ask(Publish(topic=f"north/p-1/up/{number}"))
    house.notes.flush()
    house.ask(Publish(topic="north/p-1/up/t"))
    house.notes.flush()
    assert uses() == [(18, [])]


def test_denied_attempt_is_counted_with_its_reason(house: House) -> None:
    house.ask(Publish(topic="other/p-1/x"))
    house.ask(Publish(topic="other/p-1/x"))
    house.ask(Subscribe(topic="other/#"))
    house.ask(Publish(topic="a\0b"))
    house.notes.flush()
    assert denials() == [
        ("publish", "+", "malformed-topic", 1),
        ("publish", "other/${client_id}/x", "not-allowed", 2),
        ("subscribe", "other/#", "not-allowed", 1),
    ]


def test_hearing_tells_what_the_broker_reports(house: House) -> None:
    for seconds in (0, 1, 60):  # a minute counts once
        house.notes.note_heard(broker=house.broker.id, now=NOW + timedelta(seconds=seconds))
    house.ask(Publish(topic="north/p-1/up/t"))
    house.ask(Subscribe(topic="north/all/#"))
    house.ask(Receive(topic="north/all/x"))
    house.notes.flush()
    [row] = models.HeardDay.objects.all()
    assert (row.day, row.minutes, row.publishes, row.subscribes) == (NOW.date(), 2, 1, 1)


def test_device_that_tries_every_topic_fills_nothing(house: House) -> None:
    for number in range(100):
        house.ask(Publish(topic=f"other/{number}"))
    house.notes.flush()
    assert len(denials()) == MOST_TOPICS + 1
    assert ("publish", "#", "not-allowed", 100 - MOST_TOPICS) in denials()


def test_denials_of_a_day_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_use_rows, "MOST_TOPICS_A_DAY", 3)
    monkeypatch.setattr(policy_use_rows, "MOST_DENIALS_A_DAY", 5)
    for number in range(10):
        house.ask(Publish(topic=f"other/{number}"))
        house.notes.flush()
    assert [row for row in denials() if row[1] != "#"] == [
        ("publish", f"other/{number}", "not-allowed", 1) for number in range(3)
    ]
    assert denials()[-1] == ("publish", "#", "not-allowed", 7)
    for number in range(3):
        house.ask(Subscribe(topic=f"other/{number}"))
        house.notes.flush()
    assert len(denials()) == 5


def test_counts_of_a_broker_that_is_gone_are_left_out(house: House) -> None:
    house.ask(Publish(topic="north/p-1/up/t"))
    house.ask(Publish(topic="other/x"))
    services.remove_broker(broker=house.broker.id, actor=ADA, now=utc_now())
    house.notes.flush()
    assert uses() == []
    assert denials() == []


def test_what_can_not_be_written_is_written_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.ask(Publish(topic="north/p-1/up/t"))
    house.ask(Publish(topic="other/x"))
    with monkeypatch.context() as patch:
        patch.setattr("brokers.services.policy_use.write_counts", _fail)
        house.notes.flush()
    house.ask(Publish(topic="north/p-1/up/u"))
    house.ask(Publish(topic="other/x"))
    house.notes.flush()
    assert uses() == [(2, ["${domain}/${client_id}/up/t", "${domain}/${client_id}/up/u"])]
    assert denials() == [("publish", "other/x", "not-allowed", 2)]


def _fail(_counts: object) -> None:
    raise DatabaseError("away")


def test_counts_are_written_every_ten_seconds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bool] = []
    monkeypatch.setattr(policy_use, "FLUSH_SECONDS", 10.0)
    monkeypatch.setattr(house.notes._thread, "submit", lambda _work: written.append(True))
    house.ask(Publish(topic="north/p-1/up/t"))
    house.clock = 9.0
    house.ask(Publish(topic="north/p-1/up/t"))
    assert written == []
    house.clock = 10.0
    house.ask(Publish(topic="north/p-1/up/t"))
    house.ask(Publish(topic="north/p-1/up/t"))
    assert written == [True]


def test_what_was_decided_once_and_asked_again_is_counted_each_time(house: House) -> None:
    request = Publish(topic="north/p-1/up/t")
    decided = ((request, evaluate(house.subject.policy, house.principal, request)),)
    for days in (0, 0, 0, 1):
        now = NOW + timedelta(days=days)
        house.notes.note_decided(broker=house.broker.id, principal=house.principal, decided=decided, now=now)
    house.notes.flush()
    assert [count for count, _ in uses()] == [3, 1]


def test_what_is_too_much_to_count_is_dropped_and_told(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(policy_use, "MOST_WAITING", 3)
    monkeypatch.setattr(house.notes._thread, "submit", lambda _work: None)
    for _ in range(5):
        house.ask(Publish(topic="north/p-1/up/t"))
    house.notes.flush()
    assert [count for count, _ in uses()] == [3]
    assert "2 uses of the policy are not counted" in caplog.text


def test_many_are_counted_before_they_are_due(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bool] = []
    monkeypatch.setattr(policy_use, "_MANY_WAITING", 3)
    monkeypatch.setattr(house.notes._thread, "submit", lambda _work: written.append(True))
    for _ in range(5):
        house.ask(Publish(topic="north/p-1/up/t"))
    assert written == [True]
