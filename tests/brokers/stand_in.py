"""A broker's management API as a test makes it up, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class JsonAnswers(BaseHTTPRequestHandler):
    """Answers in JSON, and keeps no log."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def answer(self, status: int, document: object = None) -> None:
        """Sends the document; no body if it is None."""
        octets = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)


@contextmanager
def stand_in(answers: type[JsonAnswers]) -> Iterator[int]:
    """The port that it listens on, until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
