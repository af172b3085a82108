"""Connecting to a broker, and to nothing that is never one: every address that a name leads to is looked at first."""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from threading import BoundedSemaphore, Thread
from typing import Any

from brokers.conf import broker_networks
from brokers.core.peers import is_never_a_broker
from brokers.core.ports import BrokerUnreachable

LOOKUP_SECONDS = 5.0
_MOST_ADDRESSES = 8
_MOST_LOOKUPS = 32
_free_lookups = BoundedSemaphore(_MOST_LOOKUPS)


class NeverABroker(BrokerUnreachable):
    """The host is at an address where there is never a broker."""

    code = "broker-host-forbidden"


def addresses_of(host: str, port: int, *, timeout: float = LOOKUP_SECONDS) -> list[str]:
    """The IP addresses of the host, in the order in which they are to be tried.

    Raises NeverABroker if there is never a broker at one of them, and OSError if the name is not known, or within
    `timeout` seconds nobody says.
    """
    found = _look_up(host, port, timeout=timeout)
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    if any(is_never_a_broker(address, allowed=broker_networks()) for address in addresses):
        raise NeverABroker(
            f"{host} is at an address where there is never a broker, so Gatehouse does not connect to it: look at "
            "what the name leads to (GATEHOUSE_BROKER_NETWORKS allows more)."
        )
    return addresses[:_MOST_ADDRESSES]


def dial(host: str, port: int, *, timeout: float) -> socket.socket:
    """A connection to one of the very addresses that were looked at, within `timeout` seconds in all.

    Raises NeverABroker and OSError.
    """
    end, fault = time.monotonic() + timeout, OSError("no address")
    for address in addresses_of(host, port, timeout=timeout):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        try:
            made = socket.create_connection((address, port), timeout=left)
        except OSError as error:
            fault = error
        else:
            made.settimeout(timeout)
            return made
    raise fault


def _look_up(host: str, port: int, *, timeout: float) -> list[Any]:
    """What the resolver says. It takes its own time where nobody answers it, so that a thread waits for it.

    At most so many wait at a time; an address needs none.
    """
    with suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    end, answer, free = time.monotonic() + timeout, Future[list[Any]](), _free_lookups
    if not free.acquire(timeout=timeout):
        raise TimeoutError("too many names are being looked up")

    def ask() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            answer.set_exception(error)
        finally:
            free.release()

    try:
        Thread(target=ask, name="lookup", daemon=True).start()
    except RuntimeError as error:
        free.release()
        raise OSError("no thread to look the name up") from error
    try:
        return answer.result(timeout=max(0.0, end - time.monotonic()))
    except TimeoutError:
        raise TimeoutError(f"nobody says in time where {host} is") from None


class DialedHttp(HTTPConnection):
    """HTTP over such a connection."""

    def connect(self) -> None:
        """Connects."""
        self.sock = dial(self.host, self.port, timeout=float(self.timeout or 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class DialedHttps(HTTPSConnection, DialedHttp):
    """HTTPS over such a connection: `HTTPSConnection` connects as what stands behind it does."""
