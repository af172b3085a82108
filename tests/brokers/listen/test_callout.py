"""The callout service against a real server; what it judges by is set by each test, without a database."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from brokers.core.access.reasons import AccessReason
from brokers.core.nats.callout import CalloutRequest
from brokers.core.ports import Standing
from brokers.listen import callout
from brokers.listen.callout import Callout
from brokers.listen.refusals import RefusalLog
from brokers.services.admission import Admission, Refusal
from devices.core.values import DeviceId
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.brokers.nats.conftest import Open, device, nats
from tests.brokers.nats.server import LiveNats
from tests.brokers.nats.test_adapter import subject
from tests.servers import wait_until

pytestmark = pytest.mark.e2e
__all__ = ["device", "nats"]
NOT_AUTHORIZED = 0x87  # what paho calls 5 in CONNACK


class Judge:
    """In place of `judge_connect`. `says` is called for each question, and answers or raises."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.says: Any = lambda asked: admission(asked["client_id"])

    def __call__(self, **asked: Any) -> Admission | Refusal:
        self.asked.append(asked)
        found: Admission | Refusal = self.says(asked)
        return found


def admission(name: str, topic: str = "north/${client_id}/up/#") -> Admission:
    return Admission(
        device=DeviceId(new_id()), subject=subject(name, topic), expires_at=utc_now() + timedelta(minutes=5)
    )


class Written(RefusalLog):
    """Keeps refusals instead of writing them."""

    def __init__(self) -> None:
        super().__init__()
        self.whys: list[str] = []

    def note(self, _broker: Any, _request: Any, refusal: Refusal) -> None:
        self.whys.append(refusal.why)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    judge = Judge()
    monkeypatch.setattr(callout, "judge_connect", judge)
    monkeypatch.setattr(callout, "close_old_connections", lambda: None)
    return judge


@pytest.fixture
def written(nats: LiveNats, judge: Judge, caplog: pytest.LogCaptureFixture) -> Iterator[Written]:
    """The service runs; what it refused."""
    caplog.set_level(logging.INFO, logger=callout.__name__)
    written, threads = Written(), ThreadPoolExecutor(16)
    service = Callout(nats.link, threads, written)
    thread = threading.Thread(target=lambda: asyncio.run(service.serve()))
    thread.start()
    wait_until(lambda: "answering for broker" in caplog.text, what="it answers")
    yield written
    nats.stop(by=signal.SIGKILL)  # ends the service as well
    thread.join(90)
    threads.shutdown()
    assert not thread.is_alive()


def test_admitted_device_enters(judge: Judge, written: Written, device: Open) -> None:
    assert device("pump-1").connect()
    assert judge.asked[0]["client_id"] == "pump-1"
    assert len(judge.asked[0]["chain"]) == 2
    assert written.whys == []


def test_refused_device_is_told_and_written_down(judge: Judge, written: Written, device: Open) -> None:
    judge.says = lambda _: Refusal(why="It is revoked.", auth_id="pump-1")
    pump = device("pump-1")
    assert not pump.connect()
    assert pump.connack == NOT_AUTHORIZED
    wait_until(lambda: written.whys == ["It is revoked."], what="the refusal is written down")


def test_server_that_would_bring_what_is_denied_is_told_to_let_nobody_in(
    judge: Judge, written: Written, device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callout, "withholds", lambda version: version != "2.15.1")  # as if that were an old one
    assert not device("pump-1").connect()
    wait_until(lambda: len(written.whys) == 1, what="the refusal is written down")
    assert "upgrade it" in written.whys[0]
    assert judge.asked == []


def test_client_id_that_older_servers_mistake_is_refused_before_it_is_judged(judge: Judge) -> None:
    """2.15.1 does not ask about one; before 2.14.0 the server did, and mistook it."""
    asked = CalloutRequest(
        server_id="N", user_nkey="U", kind="mqtt", client_id="pump.1", username="", address="", chain=(),
        version="2.12.14",
    )  # fmt: skip
    with ThreadPoolExecutor(1) as threads:
        verdict = asyncio.run(Callout(LiveNats(Path()).link, threads, Written())._verdict(asked))
    assert isinstance(verdict, Refusal)
    assert verdict.reason is AccessReason.WRONG_CLIENT_ID
    assert judge.asked == []


@pytest.mark.parametrize("fault", [OperationalError("down"), RuntimeError("a bug"), KeyError("x")])
def test_fault_lets_nobody_in_and_the_next_one_is_judged(
    judge: Judge, written: Written, device: Open, fault: Exception
) -> None:
    def fail(_: object) -> Admission:
        raise fault

    judge.says = fail
    assert not device("pump-1").connect()
    wait_until(lambda: written.whys == ["Gatehouse could not decide."], what="the refusal is written down")
    judge.says = lambda asked: admission(asked["client_id"])
    assert device("pump-2").connect()


@pytest.fixture
def release(judge: Judge, written: Written) -> Iterator[threading.Event]:
    """Until it is set, the judge hangs over the device `slow`."""
    release = threading.Event()

    def hang(asked: dict[str, Any]) -> Admission:
        if asked["client_id"] == "slow":
            release.wait(90)
        return admission(asked["client_id"])

    judge.says = hang
    yield release
    release.set()


def test_judge_that_hangs_lets_nobody_in(
    written: Written, release: threading.Event, device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callout, "JUDGE_SECONDS", 0.5)
    slow = device("slow")
    assert not slow.connect()
    assert slow.connack == NOT_AUTHORIZED
    wait_until(lambda: written.whys == ["Gatehouse could not decide in time."], what="the refusal is written down")


def test_judge_that_hangs_holds_up_nobody_else(
    judge: Judge, release: threading.Event, device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callout, "JUDGE_SECONDS", 90.0)
    slow, quick = device("slow"), device("quick")
    thread = threading.Thread(target=slow.connect)
    thread.start()
    wait_until(lambda: bool(judge.asked), what="the slow one is judged")
    assert quick.connect()
    release.set()
    thread.join(90)


@pytest.mark.parametrize(
    "then",
    [Refusal(why="It is suspended."), admission("pump-1", "north/other/#")],
    ids=["taken away", "changed"],
)
def test_grant_that_changes_while_it_is_answered_is_closed(
    judge: Judge, written: Written, device: Open, then: Admission | Refusal
) -> None:
    judge.says = lambda asked: admission(asked["client_id"]) if len(judge.asked) == 1 else then
    pump = device("pump-1")
    assert pump.connect()
    assert pump.wait_closed()


def test_second_look_that_fails_closes_nobody(judge: Judge, written: Written, device: Open) -> None:
    def fail_then(asked: dict[str, Any]) -> Admission:
        if len(judge.asked) == 2:
            raise OperationalError("down")
        return admission(asked["client_id"])

    judge.says = fail_then
    pump = device("pump-1")
    assert pump.connect()
    wait_until(lambda: len(judge.asked) == 3, what="it is looked once more")
    assert not pump.wait_closed(seconds=0.3)


def test_barred_subject_gets_nothing_even_if_admitted(judge: Judge, written: Written, device: Open) -> None:
    barred = Admission(
        device=DeviceId(new_id()), subject=subject("pump-1", state=Standing.BARRED), expires_at=utc_now() + timedelta(1)
    )
    judge.says = lambda _: barred
    pump = device("pump-1")
    assert pump.connect()
    assert pump.subscribe("#") == 0x80


def test_fifty_at_once_enter(judge: Judge, written: Written, device: Open) -> None:
    def take_time(asked: dict[str, Any]) -> Admission:
        time.sleep(0.02)
        return admission(asked["client_id"])

    judge.says = take_time
    fleet = [device(f"pump-{number}") for number in range(50)]
    with ThreadPoolExecutor(50) as pool:  # the server waits 5 s for each: who is late on a busy machine tries again
        entered = list(pool.map(lambda each: each.connect() or device(each.name).connect(), fleet))
    assert all(entered)
