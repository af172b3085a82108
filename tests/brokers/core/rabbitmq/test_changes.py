"""The order of requests to RabbitMQ, where who has no topic permission may do everything: it may end at any of them."""

from __future__ import annotations

from collections import defaultdict

from brokers.core.ports import Standing
from brokers.core.rabbitmq.changes import changes, marked
from brokers.core.rabbitmq.policy import OTHER_EXCHANGES, desired_state
from brokers.core.rabbitmq.state import EXCHANGE, to_artifact
from tests.brokers.subjects import ALL, DOWN, UP, subject

SUBJECTS = (subject("alpha", UP, DOWN), subject("beta", ALL), subject("gamma", standing=Standing.BARRED))


def test_nobody_gets_into_the_vhost_before_every_topic_permission_is_there() -> None:
    state = marked(desired_state(SUBJECTS), vhost="/")
    told: dict[str, set[object]] = defaultdict(set)
    calls = changes(to_artifact(state), "", state=state, subjects=SUBJECTS)
    for call in calls:
        if call.kind == "set-permission":
            assert told[call.target] == {"account", EXCHANGE, *OTHER_EXCHANGES}
            told[call.target].add("permission")
        elif call.kind == "set-topics":
            assert call.body is not None
            told[call.target].add(call.body["exchange"])
        else:
            assert call.kind == "set-user"
            told[call.target].add("account")
    assert {name for name, has in told.items() if "permission" in has} == {"alpha", "beta"}
    assert told["gamma"] == {"account", EXCHANGE, *OTHER_EXCHANGES}


def test_who_goes_goes_before_anybody_gets_more() -> None:
    before = (subject("alpha", UP), subject("delta", UP))
    old = to_artifact(marked(desired_state(before), vhost="/"))
    state = marked(desired_state(SUBJECTS), vhost="/")
    kinds = [call.kind for call in changes(to_artifact(state), old, state=state, subjects=SUBJECTS)]
    assert kinds[0] == "delete-user"
    assert "delete-user" not in kinds[1:]
