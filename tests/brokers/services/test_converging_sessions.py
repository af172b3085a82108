"""Bringing one device to a broker that asks us: who got in while that was worked out stays."""

from __future__ import annotations

import json

import pytest

from brokers import models, services
from brokers.adapters.nats import NatsAdapter
from brokers.core.nats.callout import grant_digest
from brokers.core.nats.nkeys import AccountKey
from brokers.core.nats.policy import permissions
from brokers.core.ports import AppliedState
from brokers.core.values import AdapterKind
from brokers.services.desired import desired_state_of
from devices.models import Device
from kernel.core.clock import utc_now
from tests.brokers.fleet import Fleet
from tests.cast import ADA

CONNECTION = {
    "host": "127.0.0.1", "port": 1, "system_user": "s", "system_password": "p", "callout_user": "c",
    "callout_password": "p", "account": "A",
}  # fmt: skip


@pytest.mark.parametrize("gets_in", [True, False])
def test_a_device_that_gets_in_while_it_is_looked_at_is_not_thrown_out(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, gets_in: bool
) -> None:
    device = fleet.enroll("p-1").id
    connection = {**CONNECTION, "issuer_seed": AccountKey.generate().seed}
    broker = services.register_broker(
        domain=fleet.domain.id, name="gate", kind=AdapterKind.NATS, connection=connection, actor=ADA, now=utc_now()
    )
    [subject] = desired_state_of(device=device, broker=broker.id, now=utc_now()).subjects
    held = {"auth_id": "p-1", "grant": grant_digest(permissions(subject)), "server": "N", "cid": 7}
    models.Broker.objects.update(sync="in-sync")
    Device.objects.update(state="enrolling")
    closed: list[str] = []

    def read(_: object, *, only: frozenset[str] | None = None) -> AppliedState:
        if gets_in:
            Device.objects.update(state="active")
        return AppliedState(artifact="[]" if closed else json.dumps([held]), version="2.15.0", only=only)

    monkeypatch.setattr(NatsAdapter, "read", read)
    monkeypatch.setattr(NatsAdapter, "apply", lambda _, steps, **__: closed.extend(step.target for step in steps))
    services.converge(broker=broker.id, device=device, now=utc_now())
    assert closed == ([] if gets_in else ["p-1"])
