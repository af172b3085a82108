"""What test_policy_killed.py runs in processes of their own: one that dies while it applies a change of policy."""

from __future__ import annotations

import json
import os
import signal
from itertools import count
from typing import Any
from unittest.mock import patch

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.services import create_role
from devices.core.policy_changes import PolicyChangeId
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.models import Domain, PolicyChange
from devices.queries.policy import policy_document
from devices.services import policy_changes
from kernel.core.clock import utc_now
from kernel.queries import verify_journal
from kernel.services import record_entry
from tests.cast import ADA, NORTH


def rule(topic: str) -> RuleSpec:
    return RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=topic)


def prepare() -> None:
    """An approved change that makes a role, changes one, binds both and takes one away: six entries."""
    now = utc_now()
    Domain.objects.create(id=NORTH, slug="north", name="North")
    for name in ("old", "pumps"):
        create_role(domain=NORTH, name=name, rules=[rule("up")], actor=ADA, now=now)
    wanted = PolicyDocument.of(
        domain="north",
        roles=[RoleSpec(name="new", rules=(rule("new"),)), RoleSpec(name="pumps", rules=(rule("down"),))],
        bindings=[BindingSpec(role=name, via=BindingVia.DOMAIN, target="north") for name in ("new", "pumps")],
    )
    change = policy_changes.draft_change(domain=NORTH, title="Much", document=wanted, actor=ADA, now=now)
    policy_changes.approve_change(change=change.id, actor=ADA, now=now)


def apply(*, die_at: int = 0) -> None:
    """Applies it; with `die_at` the process is killed when that entry is in the journal, and nothing is committed."""
    written, whole = count(1), record_entry.record_many

    def record_many(**given: Any) -> Any:
        entries = whole(**given)
        if next(written) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return entries

    with patch.object(record_entry, "record_many", record_many):
        policy_changes.apply_change(change=_change(), actor=ADA, now=utc_now())


def look() -> None:
    """Prints the roles, how many bindings there are, the change's state, and how often the journal is broken."""
    policy = policy_document(domain=NORTH)
    roles = {role.name: [rule.topic for rule in role.rules] for role in policy.roles}
    breaks = sum(type(each).__name__ == "Break" for each in verify_journal())
    state = PolicyChange.objects.values_list("state", flat=True).get()
    print(json.dumps([roles, len(policy.bindings), state, breaks]))


def _change() -> PolicyChangeId:
    return PolicyChangeId(PolicyChange.objects.values_list("id", flat=True).get())
