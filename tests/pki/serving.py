"""Our WSGI callable behind a real socket of loopback, in the test's own transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.db import connections

from pki.api import wsgi


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@contextmanager
def served() -> Iterator[str]:
    """The address under which /pki/ is served by a thread that shares this one's database connection."""
    shared = connections["default"]
    shared.inc_thread_sharing()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connections["default"] = shared
        return wsgi.application(environ, start_response)

    server = make_server("127.0.0.1", 0, application, handler_class=_Silent)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        shared.dec_thread_sharing()
