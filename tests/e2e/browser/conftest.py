"""Debian's Chromium on a live server, with a furnished domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from console.core.roles import ConsoleRole
from console.models import Operator
from devices.models import Credential
from kernel.core.clock import utc_now
from pki.api import wsgi
from tests.console.views.scene import PASSWORD, Scene, build_scene, furnish, make_operator

PATIENCE = 90_000  # milliseconds: only tells a wait from a hang
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module: playwright's loop runs in this thread, and no other test may find it there."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(FLAGS), timeout=PATIENCE)
        open_context = browser.new_context

        def patient(**options: Any) -> BrowserContext:
            context = open_context(**options)
            context.set_default_timeout(PATIENCE)
            return context

        patch.setattr(browser, "new_context", patient)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def public(transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address that stands in certificates: CRL, OCSP and issuers' certificates are there."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return [*wsgi.application(environ, start_response)]
        finally:
            connections.close_all()

    monkeypatch.setattr(wsgi, "responder", type(wsgi.responder)())  # it remembers issuers by their slugs
    monkeypatch.setattr(wsgi, "shelf", type(wsgi.shelf)())
    server = make_server("127.0.0.1", 0, application, handler_class=_Silent)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    settings.GATEHOUSE_BASE_URL = f"http://127.0.0.1:{server.server_port}"
    yield settings.GATEHOUSE_BASE_URL
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def north(public: str) -> Scene:
    scene = build_scene(slug="north", now=utc_now())
    furnish(scene, pumps=12)
    for number, row in enumerate(Credential.objects.filter(state="active").order_by("id")):
        row.not_after = scene.now + timedelta(days=4 + number**2 + 5 * (number % 3))  # so that the chart has something
        row.save()
    return scene


@pytest.fixture
def ada(north: Scene) -> Operator:
    return make_operator("ada", ConsoleRole.OWNER, north.domain, now=north.now, password=PASSWORD)


@pytest.fixture
def session_cookie(ada: Operator) -> str:
    """The value of the cookie of a session that is signed in."""
    session = SessionStore()
    session["_auth_user_id"] = str(ada.pk)
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = ada.get_session_auth_hash()
    session.save()
    assert settings.SESSION_COOKIE_NAME
    return str(session.session_key)
