"""Our own CRL, asked for where relying parties ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core.cache import cache

from pki.core.values import Issuer
from pki.queries import last_probe
from pki.services import probe_address
from pki.tasks import probe as probe_task
from tests.servers import free_port

pytestmark = pytest.mark.django_db


class _Answers(BaseHTTPRequestHandler):
    status, kind = 200, "application/pkix-crl"
    asked: list[str] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Type", self.kind)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def web(settings: Any) -> Iterator[type[_Answers]]:
    answers = type("_TheseAnswers", (_Answers,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        settings.GATEHOUSE_BASE_URL = f"http://127.0.0.1:{server.server_port}"
        yield answers
        server.shutdown()
        thread.join()


def test_address_that_answers(web: type[_Answers], root: Issuer, now: datetime) -> None:
    probe = probe_address(now=now)
    assert probe is not None
    assert probe.fault == ""
    assert web.asked == ["/pki/north-root/crl"]
    assert last_probe() == probe


def test_task_asks_and_keeps_what_it_heard(web: type[_Answers], root: Issuer) -> None:
    probe_task.apply()
    probe_task.apply()
    assert len(web.asked) == 2
    found = last_probe()
    assert found is not None
    assert found.fault == ""


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [(404, "text/html", "the answer is 404"), (200, "text/html", "the answer is text/html, and no CRL")],
)
def test_address_where_something_else_answers(
    web: type[_Answers], root: Issuer, now: datetime, status: int, kind: str, fault: str
) -> None:
    web.status, web.kind = status, kind
    assert (probe := probe_address(now=now)) is not None
    assert probe.fault == fault


def test_fault_is_since_it_began(settings: Any, root: Issuer, now: datetime) -> None:
    settings.GATEHOUSE_BASE_URL = f"http://127.0.0.1:{free_port()}"
    probe_address(now=now)
    later = probe_address(now=now + timedelta(minutes=3))
    assert later is not None
    assert "refused" in later.fault.lower()
    assert later.since == now


def test_without_an_issuer_there_is_nothing_to_ask(db: None, now: datetime) -> None:
    assert probe_address(now=now) is None
    assert last_probe() is None
