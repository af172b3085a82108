"""A broker that asks nobody for a certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import free_port


@contextmanager
def open_broker(certificate: Path, key: Path, *, websocket: bool = False, code: int = 0) -> Iterator[int]:
    """The port of one that asks for no certificate and answers CONNECT with that code; it ends at the first fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    connack = bytes([0x20, 2, 0, code])
    with socket.create_server(("127.0.0.1", free_port())) as door:

        def serve() -> None:
            while True:
                try:
                    link, _ = door.accept()
                except OSError:
                    return
                try:
                    with link, context.wrap_socket(link, server_side=True) as spoken:
                        spoken.recv(4_096)
                        if websocket:
                            spoken.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                            spoken.recv(4_096)
                        for octet in b"\x82\x04" + connack if websocket else connack:
                            spoken.sendall(bytes([octet]))  # in pieces, as it may well come
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)
    thread.join(90)
