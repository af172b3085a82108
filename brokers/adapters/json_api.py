"""A broker's management API: JSON over HTTP, by one connection for as long as it is open."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Self

from brokers.core.api_path import path
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_SECONDS = 10.0
_MOST_OCTETS = 512 * 1024 * 1024  # what a million accounts come to


class RequestRefused(Conflict):
    """The broker understood a request and would not do it."""

    code = "broker-refused"


class JsonApi:
    """A context that closes its connection at the end. `of` is whose API it is, `rights` what our account needs there.

    Plain HTTP without `ca_pem`; no account without `username`.
    """

    def __init__(
        self, *, of: str, host: str, port: int, root: str, rights: str, ca_pem: str, username: str, password: str
    ) -> None:
        self._of, self._root, self._rights = f"{of} at {host}:{port}", root, rights
        self._http = HTTPConnection(host, port, timeout=_SECONDS)
        if ca_pem:
            context = ssl.create_default_context(cadata=ca_pem)
            self._http = HTTPSConnection(host, port, timeout=_SECONDS, context=context)
        self._headers = {"Content-Type": "application/json"}
        if username:
            secret = base64.b64encode(f"{username}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, *names: str) -> Any:
        """What is there; None if nothing is."""
        return self.ask("GET", path(*names))

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer; None if it is empty or what was asked about is not there.

        Raises BrokerUnreachable if none comes within 10 s, and RequestRefused.
        """
        try:
            text = None if body is None else json.dumps(body)
            self._http.request(method, f"{self._root}/{path}", body=text, headers=self._headers)
            answer = self._http.getresponse()
            octets = answer.read(_MOST_OCTETS)
        except (OSError, HTTPException) as error:
            self._http.close()
            raise BrokerUnreachable(f"{self._of} does not answer ({_reason(error)}): is it up?") from error
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise BrokerUnreachable(f"{self._of} refuses our account ({answer.status}). {self._rights}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise RequestRefused(f"{self._of} refused {method} {path.partition('/')[0]}: {_why(octets)}.")
        try:
            return json.loads(octets) if octets else None
        except ValueError as error:
            raise BrokerUnreachable(f"{self._of} does not answer as its management API does.") from error


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
