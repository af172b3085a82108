"""What becomes of a change that somebody makes on a broker by hand: the operators' choice."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from brokers import models, queries
from brokers.core.values import Broker, BrokerId, OnDrift
from kernel.core.actor import Actor
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record


def choose_on_drift(*, broker: BrokerId, on_drift: OnDrift, actor: Actor, now: datetime) -> Broker:
    """The broker, where such changes are corrected by themselves from now on, or asked about. Raises BrokerNotFound."""
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        if row.on_drift != on_drift:
            before, row.on_drift = row.on_drift, on_drift
            row.save(update_fields=["on_drift"])
            record(
                action="brokers.drift.choice_changed",
                subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
                actor=actor,
                now=now,
                domain=DomainId(row.domain_id),
                before={"on_drift": str(before)},
                after={"on_drift": on_drift.value},
            )
    return queries.get_broker(id=broker)
