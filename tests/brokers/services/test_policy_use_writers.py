"""Several processes write down what was used at once, and nothing is lost."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection

from acl.core.evaluation import evaluate
from acl.core.values import Publish
from brokers import models, services
from brokers.core.access.counts import Counts
from brokers.core.access.reasons import AccessReason
from brokers.core.values import AdapterKind, BrokerId
from brokers.services.policy_use_rows import write_counts
from devices import services as devices
from devices.core.values import DeviceId
from kernel.core.ids import new_id
from tests.brokers.subjects import UP, subject
from tests.cast import ADA, NOW

PUMP = subject("p-1", UP)
DEVICE = DeviceId(new_id())


def counts(broker: BrokerId) -> Counts:
    """One use, one denial, one minute."""
    found = Counts()
    allowed, denied = Publish(topic="north/p-1/up/t"), Publish(topic="other/x")
    assert evaluate(PUMP.policy, PUMP.principal, allowed).rule is UP
    found.allow(broker, UP.rule, [(allowed, PUMP.principal, 1)], device=DEVICE, day=NOW.date())
    found.deny(broker, None, denied, PUMP.principal, DEVICE, reason=AccessReason.NOT_ALLOWED, at=NOW)
    found.hearing(broker, NOW.date()).minutes += 1
    return found


@pytest.mark.several_writers
@pytest.mark.django_db(transaction=True)
def test_counts_of_several_writers_are_added_up() -> None:
    domain = devices.create_domain(slug="north", name="North", actor=ADA, now=NOW)
    broker = services.register_broker(
        domain=domain.id,
        name="hall-7",
        kind=AdapterKind.MOSQUITTO_DYNSEC,
        connection={"host": "127.0.0.1", "port": 1883, "username": "gatehouse/control", "password": "pw"},
        actor=ADA,
        now=NOW,
    )

    def write() -> None:
        for _ in range(5):
            write_counts(counts(broker.id))
        connection.close()

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert models.RuleUse.objects.get().count == 20
    assert models.DeniedAttempt.objects.get().count == 20
    heard = models.HeardDay.objects.get()
    assert (heard.minutes, heard.publishes) == (20, 20)
