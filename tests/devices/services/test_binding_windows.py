"""Roles that are given for a time: nothing outside of it, told once when it begins and ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from acl.core.analysis_conditions import ALWAYS as EVERYBODY
from acl.core.analysis_conditions import Held
from acl.core.values import Role
from brokers.core.values import Broker
from devices import queries, services
from devices.core.values import BindingId, DeviceId
from devices.core.windows import EmptyWindow, EndedWindow, Window, WindowState
from devices.models import Binding
from devices.queries import Reached, count_reached, find_device_set, roles_among
from devices.queries.role_cohorts import count_by_roles
from devices.queries.subjects import next_boundary, timed_bindings
from devices.services.bindings import BindingMoved, BindingTarget, change_binding
from kernel.core.clock import to_rfc3339
from kernel.core.ids import new_id
from kernel.core.journal import Entry
from kernel.queries import list_entries
from tests.cast import ADA
from tests.devices.factory import Factory

HOUR, INSTANT = timedelta(hours=1), timedelta(microseconds=1)


@pytest.fixture
def role(north: Factory) -> Role:
    return north.role()


@pytest.fixture
def device(north: Factory) -> DeviceId:
    return north.device("pump-1")


def give(north: Factory, role: Role, *, target: BindingTarget | None = None, **window: Any) -> BindingId:
    """The role, for the whole domain unless a target is named."""
    who: dict[str, Any] = {"actor": ADA, "now": north.now}
    target = target or BindingTarget(domain="north")
    return services.bind_role(domain=north.domain, role=role.id, target=target, window=Window(**window), **who)


def told() -> list[str]:
    """What the journal said of windows, the oldest first."""
    found = [entry.action.rpartition(".")[2] for entry in list_entries(limit=50)]
    return [word for word in reversed(found) if word in {"began", "ended"}]


def test_every_question_counts_a_binding_in_its_window_alone(north: Factory, role: Role, device: DeviceId) -> None:
    begins, ends = north.now + HOUR, north.now + 2 * HOUR
    targets = (BindingTarget(device=device), BindingTarget(device_type="pump"), BindingTarget(domain="north"))
    for number, target in enumerate(targets):
        Binding.objects.all().delete()
        give(north, role, target=target, not_before=begins, not_after=ends)
        for now, holds in ((begins - INSTANT, 0), (begins, 1), (ends - INSTANT, 1), (ends, 0)):
            assert bool(queries.subject_of(device=device, now=now).policy) is bool(holds), (number, now)
            [subject] = queries.iterate_subjects(domain=north.domain, now=now)
            assert bool(subject.policy) is bool(holds)
            held = Reached(domain=north.domain, condition=Held(frozenset({role.id})), now=now)
            assert count_reached(held) == holds
            assert len(queries.bindings_at_work(held, role=role.id, limit=5)) == holds
            there = find_device_set(domain=queries.get_domain(id=north.domain))
            assert len(roles_among(there, now=now)) == holds
            found = count_by_roles(domain=north.domain, condition=EVERYBODY, among=[role.id], most=5, now=now)
            assert found.by_roles == {frozenset({role.id} if holds else ()): 1}


def test_a_device_knows_when_the_next_window_of_a_binding_begins_or_ends(
    north: Factory, role: Role, device: DeviceId
) -> None:
    assert next_boundary(device=device, now=north.now) is None
    give(north, role, not_before=north.now + HOUR, not_after=north.now + 2 * HOUR)
    assert next_boundary(device=device, now=north.now) == north.now + HOUR
    for after, bound in ((timedelta(0), HOUR), (HOUR, 2 * HOUR)):
        assert queries.next_boundary_in(domain=north.domain, now=north.now + after) == north.now + bound
    assert queries.next_boundary_in(domain=north.domain, now=north.now + 2 * HOUR) is None
    assert next_boundary(device=device, now=north.now + HOUR) == north.now + 2 * HOUR
    assert next_boundary(device=device, now=north.now + 2 * HOUR) is None
    assert next_boundary(device=DeviceId(new_id()), now=north.now) is None
    give(north, role, target=BindingTarget(device=device))
    [timed] = timed_bindings(device=device)
    assert (timed.via, timed.window.state(north.now)) == ("domain", WindowState.SCHEDULED)


def test_a_window_is_told_once_when_it_begins_and_once_when_it_ends(north: Factory, role: Role) -> None:
    give(north, role, not_before=north.now + HOUR, not_after=north.now + 2 * HOUR)
    for after, count, words in (
        (HOUR - INSTANT, 0, []),
        (HOUR, 1, ["began"]),
        (HOUR, 0, ["began"]),
        (2 * HOUR - INSTANT, 0, ["began"]),
        (2 * HOUR, 1, ["began", "ended"]),
        (9 * HOUR, 0, ["began", "ended"]),
    ):
        assert services.tell_windows(now=north.now + after) == count
        assert told() == words


def test_what_begins_and_ends_while_nobody_looks_has_ended(north: Factory, role: Role) -> None:
    give(north, role, not_before=north.now + HOUR, not_after=north.now + 2 * HOUR)
    assert services.tell_windows(now=north.now + 3 * HOUR) == 1
    assert told() == ["ended"]


def test_a_clock_that_is_set_back_tells_nothing_twice(north: Factory, role: Role) -> None:
    give(north, role, not_before=north.now + HOUR, not_after=north.now + 2 * HOUR)
    for after in (HOUR, timedelta(0), HOUR, 2 * HOUR, HOUR, timedelta(0), 2 * HOUR):
        services.tell_windows(now=north.now + after)
    assert told() == ["began", "ended"]


def test_what_is_in_force_from_the_start_needs_no_telling(north: Factory, role: Role) -> None:
    give(north, role, not_before=north.now)
    assert services.tell_windows(now=north.now + HOUR) == 0


def test_every_broker_of_the_domain_follows_when_a_window_begins_or_ends(
    north: Factory, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Entry] = []

    def heard(entry: Entry) -> tuple[Broker, ...]:
        asked.append(entry)
        return ()

    monkeypatch.setattr("console.wiring._brokers", heard)
    give(north, role, not_before=north.now + HOUR, not_after=north.now + 2 * HOUR)
    for after in (HOUR, 2 * HOUR):
        services.tell_windows(now=north.now + after)
    assert [(entry.action, entry.domain) for entry in asked] == [
        ("devices.binding.created", north.domain),
        ("devices.binding.began", north.domain),
        ("devices.binding.ended", north.domain),
    ]
    assert asked[-1].after["not_after"] == to_rfc3339(north.now + 2 * HOUR)


def test_a_window_that_is_over_is_given_to_nobody(north: Factory, role: Role) -> None:
    with pytest.raises(EndedWindow, match="in the future"):
        give(north, role, not_after=north.now)
    with pytest.raises(EmptyWindow):
        give(north, role, not_before=north.now + HOUR, not_after=north.now + HOUR)
    assert not Binding.objects.exists()


def test_another_window_is_told_and_one_that_is_the_same_is_not(north: Factory, role: Role) -> None:
    made = give(north, role)
    who: dict[str, Any] = {"actor": ADA, "now": north.now}
    later = Window(not_before=north.now + HOUR)
    assert change_binding(binding=made, window=later, expected_version=1, **who) == 2
    entry = list_entries(limit=1)[0]
    assert entry.action == "devices.binding.changed"
    assert ("not_before" in entry.before, entry.after["not_before"]) == (False, to_rfc3339(north.now + HOUR))
    assert change_binding(binding=made, window=later, **who) == 2
    assert list_entries(limit=1)[0] == entry
    with pytest.raises(BindingMoved):
        change_binding(binding=made, window=Window(), expected_version=1, **who)
    assert services.tell_windows(now=north.now + HOUR) == 1


def test_a_window_that_opens_again_ends_again(north: Factory, role: Role) -> None:
    made = give(north, role, not_after=north.now + HOUR)
    services.tell_windows(now=north.now + HOUR)
    later = Window(not_after=north.now + 3 * HOUR)
    change_binding(binding=made, window=later, actor=ADA, now=north.now + 2 * HOUR)
    assert Binding.objects.get().window_told == WindowState.IN_FORCE
    services.tell_windows(now=north.now + 3 * HOUR)
    assert told() == ["ended", "ended"]


def test_database_refuses_an_empty_window(north: Factory, role: Role) -> None:
    bounds = {"not_before": north.now, "not_after": north.now}
    with pytest.raises(IntegrityError), transaction.atomic():
        Binding.objects.create(id=new_id(), domain_id=north.domain, role_id=role.id, whole_domain=True, **bounds)
