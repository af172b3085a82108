"""Roles given for a time, over the API."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from devices.core.values import BindingId
from devices.core.windows import Window
from devices.services.bindings import change_binding
from kernel.core.clock import to_rfc3339, utc_now
from tests.cast import ADA
from tests.devices.api.conftest import Program
from tests.devices.api.problems import problem
from tests.devices.factory import Factory

FAR = "2900-01-01T00:00:00Z"


def given(north: Factory, ada: Program, **window: str | None) -> dict[str, object]:
    answer = ada.post("bindings/", {"role": north.role().name, "target": {"domain": "north"}, **window})
    assert answer.status_code == 201, answer.content
    found: dict[str, object] = answer.json()
    return found


def test_a_role_is_given_for_a_time(north: Factory, ada: Program) -> None:
    device = north.device("pump-1")
    made = given(north, ada, not_before="2899-12-31T23:00:00+01:00", not_after=FAR)
    assert (made["not_before"], made["not_after"]) == ("2899-12-31T22:00:00Z", FAR)
    assert (made["state"], made["version"]) == ("scheduled", 1)
    assert ada.get("bindings/").json()["results"] == [made]
    assert ada.get(f"bindings/{made['id']}/").json() == made
    assert ada.get(f"devices/{device}/permissions/").json()["results"] == []


def test_a_bound_that_is_left_out_stays_and_null_takes_it_away(north: Factory, ada: Program) -> None:
    device = north.device("pump-1")
    path = f"bindings/{given(north, ada, not_before=FAR)['id']}/"
    later = ada.patch(path, {"not_after": "2901-01-01T00:00:00Z"}).json()
    assert (later["not_before"], later["not_after"], later["state"]) == (FAR, "2901-01-01T00:00:00Z", "scheduled")
    now = ada.patch(path, {"not_before": None}).json()
    assert (now["not_before"], now["not_after"], now["state"]) == (None, "2901-01-01T00:00:00Z", "in-force")
    assert len(ada.get(f"devices/{device}/permissions/").json()["results"]) == 2


def test_two_who_change_one_window_meet(north: Factory, ada: Program) -> None:
    made = given(north, ada, not_after=FAR)
    path = f"bindings/{made['id']}/"
    seen = ada.get(path)
    change_binding(binding=BindingId(UUID(str(made["id"]))), window=Window(), actor=ADA, now=utc_now())
    problem(ada.patch(path, {"not_before": FAR}, **{"If-Match": seen["ETag"]}), 412, "version-mismatch")
    assert ada.patch(path, {"not_after": FAR}, **{"If-Match": ada.get(path)["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ({"not_before": FAR, "not_after": FAR}, "binding-window-empty"),
        ({"not_after": "2020-01-01T00:00:00Z"}, "binding-window-ended"),
        ({"not_after": "2900-02-30T00:00:00Z"}, "binding-window-moment"),
        ({"not_after": "2900-01-01T00:00:00"}, "binding-window-moment"),
        ({"not_after": "9999-01-01T00:00:00Z"}, "binding-window-moment"),
        ({"not_after": "tomorrow"}, "binding-window-moment"),
    ],
)
def test_a_window_that_can_not_be_meant_is_refused(
    north: Factory, ada: Program, window: dict[str, str], code: str
) -> None:
    problem(ada.post("bindings/", {"role": north.role().name, "target": {"domain": "north"}, **window}), 400, code)
    assert ada.get("bindings/").json()["results"] == []


def test_windows_of_north_are_none_of_cys_business(north: Factory, ada: Program, cy: Program, bo: Program) -> None:
    path = f"bindings/{given(north, ada, not_after=to_rfc3339(utc_now() + timedelta(days=1)))['id']}/"
    problem(cy.get(path), 404, "binding-unknown")
    problem(cy.patch(path, {"not_after": None}), 404, "binding-unknown")
    problem(bo.patch(path, {"not_after": None}), 403, "insufficient-scope")
    assert bo.get(path).status_code == 200
