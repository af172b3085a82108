"""Where nobody listened, nothing is known to be unused."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from acl.core.values import Action
from brokers.core.access.use import DayHeard, reports_use
from brokers.core.values import AdapterKind

SINCE = date(2026, 10, 1)
UNTIL = date(2026, 10, 11)
MOSQUITTO, RABBITMQ = AdapterKind.MOSQUITTO_DYNSEC, AdapterKind.RABBITMQ


def heard(
    *days: int, minutes: int = 1440, publishes: int = 0, subscribes: int = 0, lost: int = 0
) -> dict[date, DayHeard]:
    told = {Action.PUBLISH: publishes, Action.SUBSCRIBE: subscribes}
    dates = [SINCE + timedelta(days=number) for number in days]
    return {day: DayHeard(day=day, minutes=minutes, told=told, lost=lost) for day in dates}


def known(kind: AdapterKind, days: dict[date, DayHeard]) -> set[str]:
    return {action.value for action in reports_use(kind, days, since=SINCE, until=UNTIL)}


def test_log_that_was_read_all_the_time_tells_of_every_subscription() -> None:
    assert known(MOSQUITTO, heard(*range(10), subscribes=1)) == {"subscribe"}


@pytest.mark.parametrize(
    "days",
    [
        {},
        heard(*range(9), subscribes=1),  # one day is missing
        {**heard(*range(10), subscribes=1), **heard(4, minutes=1379, subscribes=1)},  # more than an hour of it
        {**heard(*range(10), subscribes=1), **heard(4, subscribes=1, lost=1)},
        heard(*range(10)),  # nothing was told: it may not log subscriptions
        {**heard(*range(10)), **heard(-1, 10, subscribes=1)},  # nor in these days
        heard(*range(10), publishes=1),
    ],
)
def test_log_with_a_gap_tells_nothing_for_sure(days: dict[date, DayHeard]) -> None:
    assert "subscribe" not in known(MOSQUITTO, days)


def test_broker_that_asks_tells_of_what_it_asks() -> None:
    assert known(RABBITMQ, heard(0, 9, publishes=1)) == {"publish"}
    assert known(RABBITMQ, heard(-3, 3, publishes=1, subscribes=2)) == {"publish", "subscribe"}


def test_broker_that_tells_by_webhook_tells_nothing_for_sure() -> None:
    assert known(AdapterKind.EMQX, heard(*range(10), publishes=1, subscribes=1)) == set()


@pytest.mark.parametrize("days", [heard(1, 9, publishes=1), heard(0, 2, publishes=1), heard(0, 9)])
def test_broker_that_did_not_always_ask_tells_nothing_for_sure(days: dict[date, DayHeard]) -> None:
    assert known(RABBITMQ, days) == set()
