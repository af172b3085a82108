"""What the platform asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from console.services.applications import NewApplication
from tests.console.conftest import bearer

pytestmark = pytest.mark.django_db


def test_healthz_answers_without_a_database(client: Client) -> None:
    assert client.get("/healthz").status_code == 200


def test_readyz_says_what_was_looked_at(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert set(answer.json()["checks"]) == {"database", "cache", "queue"}


def test_readyz_names_the_reason(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError("password=secret")

    monkeypatch.setattr(connection, "cursor", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "the database does not answer"
    assert b"secret" not in answer.content


def test_queue_that_is_away_is_a_reason(client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr("console.health.current_app.connection_for_write", fail)
    assert "queue" in client.get("/readyz").json()["checks"]["queue"]


def test_metrics_are_for_this_machine_or_a_token(client: Client, application_in: Callable[..., NewApplication]) -> None:
    far: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get("/metrics").status_code == 200
    assert b"django_http_requests" in client.get("/metrics").content
    assert client.get("/metrics", **far).status_code == 404
    assert client.get("/metrics", headers=bearer(client, application_in()), **far).status_code == 200
    narrow = bearer(client, application_in(scopes={"roles:read"}))
    assert client.get("/metrics", headers=narrow, **far).status_code == 404
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
