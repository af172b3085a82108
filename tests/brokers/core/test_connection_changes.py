"""Changing a connection without reading it back."""

from __future__ import annotations

from typing import Any

import pytest

from brokers.core.connection_changes import (
    SHOWN,
    change_errors,
    changed_members,
    merged_connection,
    shown_connection,
)

KEPT: dict[str, Any] = {
    "host": "db.example",
    "port": 5432,
    "ca_pem": "PEM",
    "username": "gatehouse",
    "password": "kept",
    "api": {"host": "mq.example", "port": 8888, "ca_pem": "PEM", "api_key": "key"},
}


def test_secrets_are_not_shown_whatever_they_are_called() -> None:
    shown = shown_connection(KEPT | {"novel": "x", "secrets": {"host": "x"}})
    assert shown.members == {
        "host": "db.example",
        "port": 5432,
        "ca_pem": "PEM",
        "username": "gatehouse",
        "api/host": "mq.example",
        "api/port": 8888,
        "api/ca_pem": "PEM",
    }
    assert shown.secrets == ("password", "api/api_key", "novel", "secrets/host")


def test_no_shown_member_sounds_like_a_secret() -> None:
    assert not [name for name in SHOWN if any(word in name for word in ("pass", "secret", "key", "seed", "token"))]


def test_what_is_left_out_stays_and_null_takes_out() -> None:
    given = {"username": "other", "api": {"port": 8889}, "ca_pem": None}
    assert merged_connection(KEPT, given) == {
        "host": "db.example",
        "port": 5432,
        "username": "other",
        "password": "kept",
        "api": {"host": "mq.example", "port": 8889, "ca_pem": "PEM", "api_key": "key"},
    }
    assert "api" not in merged_connection(KEPT, {"api": None})
    assert merged_connection({}, {"api": {"host": "x", "port": None}}) == {"api": {"host": "x"}}
    assert KEPT["api"]["port"] == 8888


def test_names_of_what_changed_are_told_and_no_value() -> None:
    merged = merged_connection(KEPT, {"password": "new", "api": {"host": "x"}, "ca_pem": None, "port": 5432})
    assert changed_members(KEPT, merged) == ["api/host", "ca_pem", "password"]
    assert changed_members(KEPT, KEPT) == []


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        ({"username": "other"}, []),
        ({"password": "new"}, []),
        ({"host": "evil.example"}, ["/connection/password"]),
        ({"port": 25}, ["/connection/password"]),
        ({"ca_pem": "OTHER"}, ["/connection/password"]),
        ({"ca_pem": None}, ["/connection/password"]),
        ({"host": "evil.example", "password": None}, []),
        ({"host": "new.example", "password": "known"}, []),
        ({"host": "db.example"}, []),
        ({"api": {"host": "evil.example"}}, ["/connection/api/api_key"]),
        ({"api": {"host": "new.example", "api_key": "known"}}, []),
        ({"api": {"api_key": "new"}}, []),
        ({"api": None}, []),
        ({"api": {"host": "evil.example"}, "host": "x"}, ["/connection/password", "/connection/api/api_key"]),
        ({"api": "nonsense"}, []),
    ],
)
def test_kept_secrets_do_not_go_to_another_place(given: dict[str, Any], pointers: list[str]) -> None:
    found = change_errors(KEPT, given)
    assert [error.pointer for error in found] == pointers
    assert {error.code for error in found} <= {"secret-required"}


def test_a_part_that_was_not_there_brings_its_own_secrets() -> None:
    without = {name: value for name, value in KEPT.items() if name != "api"}
    assert change_errors(without, {"api": KEPT["api"]}) == []


def test_dialect_stays() -> None:
    assert change_errors({"dialect": "emqx"}, {}) == []
    assert [each.code for each in change_errors({"dialect": "emqx"}, {"dialect": "goauth"})] == ["dialect-fixed"]
    assert [each.code for each in change_errors({"dialect": "emqx"}, {"dialect": None})] == ["dialect-fixed"]
