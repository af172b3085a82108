"""Windows that begin while others write: on SQLite, and on PostgreSQL by tests/test_on_postgresql.py."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from acl.services import create_role
from devices import services
from devices.core.policy_document import BindingSpec, BindingVia
from devices.core.policy_editing import without_binding
from devices.core.windows import Window
from devices.models import Domain
from devices.queries.policy import policy_document
from devices.services import policy_changes
from devices.services.bindings import BindingTarget, change_binding
from kernel.core.clock import utc_now
from kernel.queries import list_entries, verify_journal
from tests.cast import ADA, NORTH
from tests.devices.racing import at_once, told

pytestmark = [pytest.mark.several_writers, pytest.mark.django_db(transaction=True)]

LATER = timedelta(hours=1)


def given_for_later(*targets: BindingTarget) -> list[Any]:
    """The role `shift`, given to each of these in an hour."""
    now = utc_now()
    who: dict[str, Any] = {"actor": ADA, "now": now}
    Domain.objects.create(id=NORTH, slug="north", name="North")
    services.create_group(domain=NORTH, name="hall", **who)
    role = create_role(domain=NORTH, name="shift", rules=[], **who)
    window = Window(not_before=now + LATER)
    return [services.bind_role(domain=NORTH, role=role.id, target=each, window=window, **who) for each in targets]


def said() -> list[str]:
    """What the journal says of bindings, the oldest first."""
    actions = [entry.action for entry in reversed(list_entries(limit=50))]
    return [action.removeprefix("devices.binding.") for action in actions if "binding" in action]


def test_one_of_four_tells_that_a_window_began() -> None:
    given_for_later(BindingTarget(domain="north"), BindingTarget(group="hall"))
    found = at_once([partial(services.tell_windows, now=utc_now() + 2 * LATER)] * 4)
    assert sum(found) == 2
    assert said() == ["created", "created", "began", "began"]
    assert {type(each).__name__ for each in verify_journal()} == {"Entry"}


def test_a_window_begins_while_a_change_takes_the_binding_away() -> None:
    given_for_later(BindingTarget(domain="north"), BindingTarget(group="hall"))
    document = policy_document(domain=NORTH)
    for via, target in ((BindingVia.DOMAIN, "north"), (BindingVia.GROUP, "hall")):
        document = without_binding(document, BindingSpec(role="shift", via=via, target=target))
    change = policy_changes.draft_change(domain=NORTH, title="Race", document=document, actor=ADA, now=utc_now())
    policy_changes.approve_change(change=change.id, actor=ADA, now=utc_now())
    apply = partial(policy_changes.apply_change, change=change.id, actor=ADA, now=utc_now())
    tell = partial(services.tell_windows, now=utc_now() + 2 * LATER)
    applied, *counts = at_once([apply, tell, tell])
    assert getattr(applied, "operation", None), applied
    assert said().count("removed") == 2
    assert said().count("began") == sum(counts)
    assert policy_document(domain=NORTH).bindings == ()


def test_one_of_three_changes_the_window_that_all_have_read() -> None:
    [binding] = given_for_later(BindingTarget(domain="north"))
    calls = [
        partial(
            change_binding,
            binding=binding,
            window=Window(not_after=utc_now() + hours * LATER),
            expected_version=1,
            actor=ADA,
            now=utc_now(),
        )
        for hours in (1, 2, 3)
    ]
    assert told(at_once(calls)) == {"ok": 1, "version-mismatch": 2}
    assert said() == ["created", "changed"]
