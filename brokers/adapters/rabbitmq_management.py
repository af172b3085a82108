"""RabbitMQ's management API: JSON over HTTP, one connection for as long as it is open."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from brokers.core.ports import BrokerUnreachable
from brokers.core.rabbitmq_changes import path
from brokers.core.rabbitmq_connection import RabbitConnection
from kernel.core.errors import Conflict

_SECONDS = 10.0
_MOST_OCTETS = 512 * 1024 * 1024  # what a million accounts come to
_ALLOWED = "Give its account the tag administrator, and permissions in the virtual host (docs/howto/rabbitmq.md)."


class RequestRefused(Conflict):
    """RabbitMQ understood a request and would not do it."""

    code = "rabbitmq-refused"


class Management:
    """An open connection. All of its methods raise BrokerUnreachable if no answer comes within 10 s."""

    def __init__(self, connection: RabbitConnection) -> None:
        self._where = f"{connection.host}:{connection.port}"
        self._http = _http(connection)
        secret = f"{connection.username}:{connection.password}".encode()
        self._headers = {
            "Authorization": f"Basic {base64.b64encode(secret).decode()}",
            "Content-Type": "application/json",
        }

    def get(self, *names: str, query: str = "") -> Any:
        """What is there; None if nothing is."""
        return self.ask("GET", f"{path(*names)}{query}")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer; None if it is empty or what was asked about is not there. Raises RequestRefused."""
        try:
            text = None if body is None else json.dumps(body)
            self._http.request(method, f"/api/{path}", body=text, headers=self._headers)
            answer = self._http.getresponse()
            octets = answer.read(_MOST_OCTETS)
        except (OSError, HTTPException) as error:
            self.close()
            raise BrokerUnreachable(
                f"RabbitMQ at {self._where} does not answer ({_reason(error)}): is it up?"
            ) from error
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise BrokerUnreachable(f"RabbitMQ at {self._where} refuses our account ({answer.status}). {_ALLOWED}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise RequestRefused(f"RabbitMQ refused {method} {path.partition('/')[0]}: {_why(octets)}.")
        try:
            return json.loads(octets) if octets else None
        except ValueError as error:
            raise BrokerUnreachable(f"What answers at {self._where} is no management API of RabbitMQ.") from error

    def close(self) -> None:
        """Ends the connection."""
        self._http.close()


@contextmanager
def management(connection: RabbitConnection) -> Iterator[Management]:
    """A connection that is closed at the end."""
    opened = Management(connection)
    try:
        yield opened
    finally:
        opened.close()


def _http(connection: RabbitConnection) -> HTTPConnection:
    if not connection.ca_pem:
        return HTTPConnection(connection.host, connection.port, timeout=_SECONDS)
    context = ssl.create_default_context(cadata=connection.ca_pem)
    return HTTPSConnection(connection.host, connection.port, timeout=_SECONDS, context=context)


def _why(octets: bytes) -> str:
    """The reason in an error's document; nothing of what was sent."""
    try:
        return str(json.loads(octets)["reason"])[:200]
    except (ValueError, KeyError, TypeError):
        return "it does not say why"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
