"""Recording entries and running their wake-ups by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from pytest_django import Settings

from kernel import services
from kernel.core.errors import DomainError
from kernel.core.journal import Entry, Queue, Step, StepState, Subject
from kernel.models import Wakeup
from tests.cast import ADA, NORTH, NOW
from tests.kernel.routing import router

LEASE = timedelta(seconds=20)


@dataclass
class Worker:
    """Runs wake-ups at a time that stands still until it is moved."""

    now: datetime = NOW
    seen: list[str] = field(default_factory=list)
    outcome: str | Exception = "done it"

    def clock(self) -> datetime:
        return self.now

    def body(self, wake: services.Wake) -> str:
        self.seen.append(wake.target)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def run(self, wakeup: Wakeup) -> StepState | None:
        return services.run_wakeup(wakeup.pk, body=self.body, clock=self.clock, lease=LEASE)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def routed(settings: Settings) -> Iterator[None]:
    settings.GATEHOUSE_ROUTER = "tests.kernel.routing.router"
    router.steps = ()
    yield
    router.steps = ()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str]]:
    """What was handed to Celery: (task, wake-up, queue)."""
    messages: list[tuple[str, int, str]] = []

    def send_task(name: str, *, kwargs: dict[str, int], queue: str, **_: Any) -> None:
        messages.append((name, kwargs["wakeup"], queue))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return messages


def record(note: str = "", *, steps: Sequence[Step] = (), now: datetime = NOW, **more: Any) -> Entry:
    """One entry in a transaction of its own, with these steps to follow."""
    router.steps = steps
    facts: dict[str, Any] = {"action": "devices.device.suspended", "domain": NORTH, "actor": ADA} | more
    subject = facts.pop("subject", Subject(kind="devices.device", id="d-1", label="pump-17"))
    with transaction.atomic():
        return services.record(subject=subject, now=now, note=note, **facts)


def step(target: str, *, queue: Queue = Queue.REVOCATION, order_key: str = "", task: str = "tests.act") -> Step:
    return Step(task=task, target=target, queue=queue, order_key=order_key)


def wakeups(*steps: Step, **more: Any) -> list[Wakeup]:
    """The rows of a fresh entry with these steps."""
    entry = record(steps=steps, **more)
    return list(Wakeup.objects.filter(entry_id=entry.seq).order_by("pk"))


class Broken(DomainError):
    """An error with a sentence."""
