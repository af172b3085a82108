"""Windows in changes of policy as a whole: applied, taken back, and read from a file."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from devices import queries, services
from devices.core.policy_document import BindingSpec, PolicyDocument
from devices.core.policy_yaml import from_yaml, to_yaml
from devices.core.windows import ALWAYS, Window
from devices.queries.policy import policy_document
from devices.services import policy_changes
from devices.services.bindings import BindingTarget
from devices.services.policy_changes import rolling_back
from kernel.queries import list_entries
from tests.cast import ADA
from tests.devices.factory import Factory

HOUR = timedelta(hours=1)


@pytest.fixture
def policy(north: Factory) -> PolicyDocument:
    """The role `pumps`, given to the whole domain."""
    target = BindingTarget(domain="north")
    services.bind_role(domain=north.domain, role=north.role("pumps").id, target=target, actor=ADA, now=north.now)
    return policy_document(domain=north.domain)


def timed(policy: PolicyDocument, window: Window) -> PolicyDocument:
    [binding] = policy.bindings
    return replace(policy, bindings=(replace(binding, window=window),))


def apply(north: Factory, document: PolicyDocument, *, after: timedelta = timedelta(0)) -> Any:
    change = policy_changes.draft_change(domain=north.domain, title="Time", document=document, actor=ADA, now=north.now)
    policy_changes.approve_change(change=change.id, actor=ADA, now=north.now)
    return policy_changes.apply_change(change=change.id, actor=ADA, now=north.now + after).change


def bindings(north: Factory) -> tuple[BindingSpec, ...]:
    return policy_document(domain=north.domain).bindings


def test_a_change_of_a_window_changes_the_binding_and_is_taken_back(north: Factory, policy: PolicyDocument) -> None:
    [before] = queries.list_bindings(domains=[north.domain])
    window = Window(not_before=north.now + HOUR, not_after=north.now + 2 * HOUR)
    change = apply(north, timed(policy, window))
    [row] = queries.list_bindings(domains=[north.domain])
    assert (row.id, row.window) == (before.id, window)
    words = [entry.action.rpartition(".")[2] for entry in list_entries(limit=9) if ".binding." in entry.action]
    assert words == ["changed", "created"]
    assert list_entries(limit=1)[0].after["bindings_changed"] == 1
    back = rolling_back.roll_back_change(change=change.id, actor=ADA, now=north.now)
    policy_changes.approve_change(change=back.id, actor=ADA, now=north.now)
    policy_changes.apply_change(change=back.id, actor=ADA, now=north.now)
    assert policy_document(domain=north.domain) == policy


def test_a_change_that_was_written_in_time_goes_in_when_a_window_is_over(
    north: Factory, policy: PolicyDocument
) -> None:
    window = Window(not_after=north.now + HOUR)
    apply(north, timed(policy, window), after=2 * HOUR)
    assert [each.window for each in bindings(north)] == [window]
    assert services.tell_windows(now=north.now + 3 * HOUR) == 0


def test_what_time_does_to_a_window_does_not_move_the_policy(north: Factory, policy: PolicyDocument) -> None:
    document = timed(policy, Window(not_before=north.now + HOUR))
    apply(north, document)
    later = replace(document, bindings=(replace(document.bindings[0], window=ALWAYS),))
    change = policy_changes.draft_change(domain=north.domain, title="Now", document=later, actor=ADA, now=north.now)
    assert services.tell_windows(now=north.now + HOUR) == 1
    policy_changes.approve_change(change=change.id, actor=ADA, now=north.now)
    policy_changes.apply_change(change=change.id, actor=ADA, now=north.now + HOUR)
    assert [each.window for each in bindings(north)] == [ALWAYS]


def test_a_file_says_the_window_and_an_import_of_it_changes_nothing(north: Factory, policy: PolicyDocument) -> None:
    apply(north, timed(policy, Window(not_before=north.now + HOUR)))
    text = to_yaml(policy_document(domain=north.domain))
    assert "not_before: " in text
    assert from_yaml(text).document == policy_document(domain=north.domain)
