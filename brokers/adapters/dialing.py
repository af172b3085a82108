"""Connecting to a broker, and to nothing that is never one: every address that a name leads to is looked at first."""

from __future__ import annotations

import socket
import time
from http.client import HTTPConnection, HTTPSConnection

from brokers.conf import broker_networks
from brokers.core.peers import is_never_a_broker
from brokers.core.ports import BrokerUnreachable

_MOST_ADDRESSES = 8


class NeverABroker(BrokerUnreachable):
    """The host is at an address where there is never a broker."""

    code = "broker-host-forbidden"


def addresses_of(host: str, port: int) -> list[str]:
    """The IP addresses of the host, in the order in which they are to be tried.

    Raises NeverABroker if there is never a broker at one of them, and OSError if the name is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
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
    for address in addresses_of(host, port):
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


class DialedHttp(HTTPConnection):
    """HTTP over such a connection."""

    def connect(self) -> None:
        """Connects."""
        self.sock = dial(self.host, self.port, timeout=float(self.timeout or 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class DialedHttps(HTTPSConnection, DialedHttp):
    """HTTPS over such a connection: `HTTPSConnection` connects as what stands behind it does."""
