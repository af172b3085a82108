"""Decisions of the policy engine, 50 rules a device, in one process, and explanations of them.

Reach: 100,000 and 20,000 a CPU second.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from acl.core.evaluation import evaluate
from acl.core.explanation import explain
from acl.core.values import Action, BoundRule, Effect, Principal, Publish, Request, Rule, RuleId, Subscribe

RULES = 50
DECISIONS, EXPLAINED = 100_000, 20_000


def measure() -> dict[str, Any]:
    """Per CPU second: a mix of allowed and refused publishes and subscriptions."""
    policy = tuple(_rule(number) for number in range(RULES))
    principal = Principal(id="1", auth_id="pump-1", client_id="pump-1", username="pump-1", domain="north")
    random.seed(1)
    requests = [_request(random.randrange(2 * RULES)) for _ in range(1_000)]
    return {
        "rules": RULES,
        "decisions_per_cpu_second": _rate(lambda request: evaluate(policy, principal, request), requests, DECISIONS),
        "explanations_per_cpu_second": _rate(lambda request: explain(policy, principal, request), requests, EXPLAINED),
    }


def _rate(work: Callable[[Request], object], requests: Sequence[Request], count: int) -> int:
    """How often a CPU second `work` is done, median of five."""
    found = []
    for _ in range(5):
        began = time.process_time()
        for number in range(count):
            work(requests[number % len(requests)])
        found.append(count / (time.process_time() - began))
    return round(sorted(found)[2])


def _rule(number: int) -> BoundRule:
    effect = Effect.DENY if number % 10 == 9 else Effect.ALLOW
    topic = f"${{domain}}/${{client_id}}/part-{number}/#"
    rule = Rule(id=RuleId(uuid4()), effect=effect, actions=frozenset(Action), topic=topic)
    return BoundRule(rule=rule, role_name="bench")


def _request(number: int) -> Request:
    topic = f"north/pump-1/part-{number}/a/b"
    return Publish(topic=topic, qos=1) if number % 2 else Subscribe(topic=topic, qos=1)
