"""Passwords over the API: shown once, listed without, followed by another, revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from devices import queries
from devices.core.values import DeviceId
from devices.models import Password
from tests.cast import NORTH
from tests.devices.api.conftest import Program
from tests.devices.bare import Bare


@pytest.fixture
def ada(bare: Bare) -> Program:
    return Program(bare)


@pytest.fixture
def bare(db: None, now: datetime) -> Bare:
    return Bare(NORTH, "north", now)


def test_password_is_shown_once_and_can_be_sent_again_only_with_its_key(bare: Bare, ada: Program) -> None:
    where = f"devices/{bare.register().id}/passwords/"
    made = ada.post(where)
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    shown = made.json()
    [kept] = Password.objects.all()
    assert kept.as_value().verifier.is_of(shown["password"])
    assert shown["state"] == "active"
    listed = ada.get(where)
    assert shown["password"] not in listed.content.decode()
    [one] = listed.json()["results"]
    assert one == {name: shown[name] for name in ("id", "state", "digest", "created_at", "not_after", "last_used_at")}
    assert ada.post(where).status_code == 409


def test_second_password_follows_the_first_and_can_be_switched_to(bare: Bare, ada: Program) -> None:
    device = bare.register().id
    where = f"devices/{device}/passwords/"
    first = ada.post(where).json()
    second = ada.post(f"{where}rotate/", {"overlap": 60}).json()
    assert states(ada, where) == {first["id"]: "active", second["id"]: "staged"}
    assert ada.post(f"{where}switch/").status_code == 202
    assert states(ada, where) == {first["id"]: "retiring", second["id"]: "active"}
    assert ada.post(f"{where}{first['id']}/revoke/").status_code == 202
    assert ada.post(f"{where}{first['id']}/revoke/").status_code == 204
    assert states(ada, where) == {first["id"]: "revoked", second["id"]: "active"}


def states(ada: Program, where: str) -> dict[str, Any]:
    return {one["id"]: one["state"] for one in ada.get(where).json()["results"]}


@pytest.mark.parametrize("overlap", [-1, 30 * 86_400 + 1, "soon"])
def test_overlap_has_bounds(bare: Bare, ada: Program, overlap: object) -> None:
    where = f"devices/{bare.register().id}/passwords/"
    ada.post(where)
    assert ada.post(f"{where}rotate/", {"overlap": overlap}).status_code == 400


def test_password_of_another_device_is_not_found(bare: Bare, ada: Program) -> None:
    mine, other = (f"devices/{bare.register(name).id}/passwords/" for name in ("pump-1", "pump-2"))
    made = ada.post(other).json()
    assert ada.post(f"{mine}{made['id']}/revoke/").status_code == 404
    assert states(ada, other) == {made["id"]: "active"}


def test_application_gets_one_too_and_not_as_a_device(bare: Bare, ada: Program) -> None:
    application = ada.post("broker-applications/", {"name": "dashboards"}).json()["id"]
    assert ada.post(f"devices/{application}/passwords/").status_code == 404
    made = ada.post(f"broker-applications/{application}/passwords/")
    assert made.status_code == 201, made.content
    assert queries.passwords_of(device=DeviceId(application))
