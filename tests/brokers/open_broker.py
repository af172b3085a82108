"""A broker that asks nobody for a certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.servers import free_port


@contextmanager
def open_broker(
    certificate: Path,
    key: Path,
    *,
    websocket: bool = False,
    code: int | None = 0,
    upgrade: str = "101 Switching",
    places: int = 1_000,
) -> Iterator[int]:
    """The port of one that asks for no certificate and answers CONNECT with that code; it ends at the first fault.

    Without a code it ends the connection there; with a status other than 101 there is no WebSocket. Of the connections
    after the first `places` it ends each at once.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    connack = b"" if code is None else bytes([0x20, 2, 0, code])
    with socket.create_server(("127.0.0.1", free_port())) as door:

        def serve() -> None:
            for number in count():
                try:
                    link, _ = door.accept()
                except OSError:
                    return
                if number >= places:
                    link.close()
                    continue
                try:
                    with link, context.wrap_socket(link, server_side=True) as spoken:
                        spoken.recv(4_096)
                        if websocket:
                            spoken.sendall(f"HTTP/1.1 {upgrade}\r\n\r\n".encode())
                            spoken.recv(4_096)
                        for octet in b"\x82\x04" + connack if websocket and connack else connack:
                            spoken.sendall(bytes([octet]))  # in pieces, as it may well come
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)
    thread.join(90)
