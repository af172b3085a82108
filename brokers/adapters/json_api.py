"""A broker's management API: JSON over HTTP, by one connection for as long as it is open."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from types import TracebackType
from typing import Any, Self

from brokers.adapters.dialing import DialedHttp, DialedHttps
from brokers.core.api_path import path
from brokers.core.ports import BrokerUnreachable
from kernel.core.errors import Conflict

_SECONDS = 10.0  # of silence
_SECONDS_IN_ALL = 60.0
_MOST_OCTETS = 512 * 1024 * 1024  # what a million accounts come to
_REASONS = ("reason", "message", "errors")  # RabbitMQ's, EMQX's, HiveMQ's


class RequestRefused(Conflict):
    """The broker understood a request and would not do it."""

    code = "broker-refused"


class JsonApi:
    """A context that closes its connection at the end. `of` is whose API it is, `rights` what our account needs there.

    Plain HTTP without `ca_pem`; no account without `username`. What goes wrong within because an answer has not the
    expected shape becomes BrokerUnreachable.
    """

    def __init__(
        self, *, of: str, host: str, port: int, root: str, rights: str, ca_pem: str, username: str, password: str
    ) -> None:
        self._of, self._root, self._rights = f"{of} at {host}:{port}", root, rights
        self._http: HTTPConnection = DialedHttp(host, port, timeout=_SECONDS)
        if ca_pem:
            context = ssl.create_default_context(cadata=ca_pem)
            self._http = DialedHttps(host, port, timeout=_SECONDS, context=context)
        self._http.response_class = _Answer
        self._headers: dict[str, str] = {}
        if username:
            secret = base64.b64encode(f"{username}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        if isinstance(error, (AttributeError, LookupError, TypeError, ValueError)):
            raise self._strange() from error

    def get(self, *names: str) -> Any:
        """What is there; None if nothing is."""
        return self.ask("GET", path(*names))

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | str | None = None, *, of: str = "application/json"
    ) -> Any:
        """The answer; None if what was asked about is not there, or the answer to a change is empty.

        A text is sent as it stands, and is `of` that type.

        Raises BrokerUnreachable after 10 s of silence or a minute in all, and RequestRefused.
        """
        try:
            text = body if body is None or isinstance(body, str) else json.dumps(body)
            headers = {**self._headers, "Content-Type": of}
            self._http.request(method, f"{self._root}/{path}", body=text, headers=headers)
            with self._http.getresponse() as answer:
                octets = answer.read(_MOST_OCTETS)
        except (OSError, HTTPException, UnicodeError) as error:  # the last from a host that is no name
            self._http.close()
            raise BrokerUnreachable(f"{self._of} does not answer ({_reason(error)}): is it up?") from error
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise BrokerUnreachable(f"{self._of} refuses our account ({answer.status}). {self._rights}")
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise BrokerUnreachable(f"{self._of} fails at {method} {_what(path)} ({answer.status}): {_why(octets)}.")
        missing = answer.status == HTTPStatus.NOT_FOUND
        if not missing and answer.status // 100 != 2:
            raise RequestRefused(f"{self._of} refused {method} {_what(path)} ({answer.status}): {_why(octets)}.")
        if method != "GET" and (missing or not octets):
            return None
        try:
            found = json.loads(octets)
        except (ValueError, RecursionError) as error:
            raise self._strange() from error
        return None if missing else found

    def _strange(self) -> BrokerUnreachable:
        return BrokerUnreachable(f"{self._of} does not answer as its management API does: is that the right port?")


class _Answer(HTTPResponse):
    """An answer that has to be complete after a minute, however slowly it drips."""

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp.close()
        self.fp = BufferedReader(_Dripping(sock))


class _Dripping(RawIOBase):
    """What comes from a socket within a minute. Raises TimeoutError behind it."""

    def __init__(self, sock: socket.socket) -> None:
        self._octets = sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + _SECONDS_IN_ALL

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._end:
            raise TimeoutError("too slow")
        return self._octets.readinto(buffer)

    def close(self) -> None:
        self._octets.close()
        super().close()


def _what(path: str) -> str:
    return path.partition("/")[0].partition("?")[0]


def _why(octets: bytes) -> str:
    """The reason in an error's document, on one line; nothing of what was sent."""
    try:
        document = json.loads(octets)
        return " ".join(str(next(document[name] for name in _REASONS if name in document)).split())[:200]
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError):
        return "it does not say why"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, HTTPException) and not isinstance(error, OSError):
        return "that is no HTTP"  # what it is, whoever registers a broker is not to learn
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
