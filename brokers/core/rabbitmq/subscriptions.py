"""The queues that RabbitMQ's MQTT plugin keeps for clients, and which subscriptions have to end."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from acl.core.values import Principal
from brokers.core.ports import RenderSubject, Standing
from brokers.core.rabbitmq.api_call import ApiCall, delete
from brokers.core.rabbitmq.emulator import may_subscribe
from brokers.core.rabbitmq.filters import texts_of
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState

QUEUE = re.compile(r"mqtt-subscription-(.*)qos([01])", re.DOTALL)
"""The name of such a queue: the client id and the QoS."""
ENDINGS = frozenset({"delete-queue", "delete-subscription"})
"""The kinds of calls that end what somebody is subscribed to."""
_IN_NO_PATH = frozenset({".", ".."})


def queues_in(permission: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The queues that a permission is about; None if we did not write it."""
    return texts_of(permission["configure"])


def queues_of(principal: Principal) -> tuple[str, str]:
    """The queues that the MQTT plugin keeps for the principal's client id, one for each QoS."""
    first, second = (f"mqtt-subscription-{principal.client_id}qos{qos}" for qos in (0, 1))
    return first, second


def endings(
    rows: Iterable[Mapping[str, Any]], state: RabbitState, subjects: Collection[RenderSubject]
) -> Iterator[ApiCall]:
    """Ends the subscriptions that policy no longer allows, and the queues of those who are barred.

    A subscription to `/` or `//` goes with its queue, since no request can name it.
    """
    by_client = {subject.principal.client_id: subject for subject in subjects}
    ended = set()
    for row in rows:
        found = QUEUE.fullmatch(row["queue"])
        subject = by_client.get(found[1]) if found else None
        if found is None or subject is None or row["vhost"] != state.vhost:
            continue
        name, admitted = subject.principal.auth_id, subject.state is Standing.ADMITTED
        if admitted and may_subscribe(state, subject.principal, row["filter"], qos=int(found[2])):
            continue
        if admitted and row["properties_key"] not in _IN_NO_PATH:
            where = ("bindings", row["vhost"], "e", EXCHANGE, "q", row["queue"], row["properties_key"])
            yield delete("subscription", name, *where)
        elif row["queue"] not in ended:
            ended.add(row["queue"])
            yield delete("queue", name, "queues", row["vhost"], row["queue"])
