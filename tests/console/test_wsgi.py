"""What a process answers that serves the PKI alone, and how it is started."""

from __future__ import annotations

import importlib
import io
from typing import Any

import pytest

from console.processes import web_words


@pytest.fixture
def pki_alone(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The callable, without the thread that its module starts."""
    monkeypatch.setattr("pki.api.wsgi.keep_up", lambda: None)
    monkeypatch.setattr("brokers.api.decide_wsgi.keep_up", lambda: None)
    monkeypatch.setattr("pki.api.wsgi.close_old_connections", lambda: None)
    return importlib.import_module("console.wsgi").pki_alone


def status_of(pki_alone: Any, path: str) -> str:
    seen: list[str] = []

    def start_response(status: str, *_: Any) -> None:
        seen.append(status)

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip
    b"".join(pki_alone(environ, start_response))
    return seen[0]


@pytest.mark.django_db
def test_pki_alone_has_no_console_and_no_api(pki_alone: Any) -> None:
    assert status_of(pki_alone, "/pki/nobody/nothing").startswith("404")
    assert status_of(pki_alone, "/healthz").startswith("200")
    for path in (
        "/",
        "/sign-in/",
        "/api/v1/devices/",
        "/oauth/token/",
        "/metrics",
        "/pki",
        "/decide/",
        "/static/app.css",
    ):
        assert status_of(pki_alone, path).startswith("404")


def test_pki_alone_has_one_thread_a_process() -> None:
    words = web_words(host="127.0.0.1", port=8000, workers=3, only_pki=True)
    assert words[-1] == "console.wsgi:pki_alone"
    assert words[words.index("--blocking-threads") + 1] == "1"
    assert words[words.index("--workers") + 1] == "3"
