"""The log has one shape, and no secret."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.test import Client

from console.logs import logging_config, redacted


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a handler of ours writes, as JSON lines."""
    config = logging_config("json")
    made = logging.config.DictConfigurator(config)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(made.configure_formatter(config["formatters"]["line"]))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_token_of_a_setup_link_never_reaches_the_log(log: io.StringIO, client: Client, db: None) -> None:
    client.get("/setup/a-very-secret-token/")
    logging.getLogger("x").warning("Not Found: %s", "/setup/a-very-secret-token/")
    structlog.get_logger("y").warning("seen", request="GET /setup/a-very-secret-token/")
    try:
        raise ValueError("/setup/a-very-secret-token/")
    except ValueError:
        logging.getLogger("z").exception("failed")
    assert "a-very-secret-token" not in log.getvalue()
    assert log.getvalue().count("/setup/***") >= 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /setup/abc/ now", "GET /setup/***/ now"),
        ("POST /decide/0193-a1/abcdefghijklmnopqrstuvwxyz/rabbitmq/user", "POST /decide/0193-a1/***/rabbitmq/user"),
        ("POST /decide/0193-a1/rabbitmq/user", "POST /decide/0193-a1/rabbitmq/user"),
        ("POST /ingest/0193-a1/abcdefghijklmnopqrstuvwxyz/vernemq", "POST /ingest/0193-a1/***/vernemq"),
        ("Authorization: Bearer abcdefgh1234", "Authorization: Bearer ***"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("Bearer of news", "Bearer of news"),
    ],
)
def test_credentials_are_redacted(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_request_is_logged_once_with_its_id_and_without_its_query(log: io.StringIO, client: Client) -> None:
    client.get("/healthz?secret=1", headers={"X-Request-ID": "abcdef-123456"})
    [line] = [line for line in lines(log) if line.get("request_id") == "abcdef-123456"]
    assert (line["request"], line["code"], line["address"]) == ("GET /healthz", 200, "127.0.0.1")
    assert "secret" not in log.getvalue()


def test_lines_of_both_loggers_have_the_same_members(log: io.StringIO) -> None:
    logging.getLogger("x").warning("one")
    structlog.get_logger("x").warning("two")
    first, second = lines(log)
    assert set(first) == set(second) == {"event", "logger", "level", "timestamp"}
