"""Roles given for a time at the console: typed in the operator's zone, shown in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from console.models import Operator
from console.views.role_forms import WindowForm
from devices.core.windows import Window
from devices.queries import list_bindings
from devices.queries.policy_changes import list_changes
from tests.console.views.scene import Scene

BEGINS, ENDS = datetime(2900, 7, 1, 10, tzinfo=UTC), datetime(2900, 12, 1, 11, tzinfo=UTC)
TYPED = {"not_before": "2900-07-01T12:00", "not_after": "2900-12-01T12:00"}  # noon at Vienna, in summer and in winter


@pytest.fixture(autouse=True)
def _in_vienna(ada: Operator) -> None:
    ada.time_zone = "Europe/Vienna"
    ada.save(update_fields=["time_zone"])


def test_a_role_is_given_for_a_time_and_then_for_another(north: Scene, at_ada: Client) -> None:
    role = f"/roles/{north.role.id}/"
    at_ada.post(f"{role}bindings/", {"via": "device", "target": "pump-01", **TYPED})
    [made] = [row for row in list_bindings(domains=[north.domain], role=north.role.id) if row.via == "device"]
    assert made.window == Window(not_before=BEGINS, not_after=ENDS)
    page = at_ada.get(role).content.decode()
    assert "2900-07-01 10:00:00 UTC" in page
    assert "scheduled" in page
    assert "2900-07-01 10:00:00 UTC" in at_ada.get(f"/devices/{made.target_id}/").content.decode()
    form = at_ada.get(f"{role}bindings/{made.id}/").content.decode()
    assert 'value="2900-07-01T12:00:00"' in form
    assert "Time in Europe/Vienna." in form
    sent = {"not_before": "", "not_after": TYPED["not_after"], "version": "1"}
    at_ada.post(f"{role}bindings/{made.id}/", sent)
    [now] = [row for row in list_bindings(domains=[north.domain], role=north.role.id) if row.id == made.id]
    assert now.window == Window(not_after=ENDS)
    late = at_ada.post(f"{role}bindings/{made.id}/", sent).content.decode()
    assert "read it again" in late


def test_a_window_that_is_over_is_not_given(north: Scene, at_ada: Client) -> None:
    sent = {"via": "device", "target": "pump-01", "not_after": "2020-01-01T00:00"}
    assert "a time that is over" in at_ada.post(f"/roles/{north.role.id}/bindings/", sent).content.decode()


def test_others_change_no_window_of_north(north: Scene, at_bo: Client, at_cy: Client) -> None:
    binding = list_bindings(domains=[north.domain])[0]
    path = f"/roles/{binding.role}/bindings/{binding.id}/"
    assert [client.post(path, TYPED).status_code for client in (at_bo, at_cy)] == [403, 404]


def test_a_draft_gives_a_role_for_a_time(north: Scene, at_ada: Client) -> None:
    at_ada.post(f"/roles/{north.role.id}/draft/")
    [change] = list_changes(domains=[north.domain], limit=5)
    path = f"/changes/{change.id}/roles/{north.role.name}/"
    sent = {"via": "device", "target": "pump-01", "version": str(change.version), **TYPED}
    at_ada.post(f"{path}bind/", sent)
    assert "2900-07-01 10:00:00 UTC" in at_ada.get(path).content.decode()
    assert "2900-12-01 11:00:00 UTC" in at_ada.get(f"/changes/{change.id}/").content.decode()


def test_of_an_hour_that_comes_twice_the_narrower_window_is_meant() -> None:
    form = WindowForm({"not_before": "2026-10-25T02:30", "not_after": "2027-10-31T02:30"}, zone="Europe/Vienna")
    assert form.is_valid()
    assert form.window() == Window(
        not_before=datetime(2026, 10, 25, 1, 30, tzinfo=UTC), not_after=datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    )
