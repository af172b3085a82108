"""Puts one question to the port by which a broker is managed, and takes nothing of the answer but its status."""

from __future__ import annotations

import re
import socket
import ssl
import time

from brokers.adapters.dialing import NeverABroker, dial
from brokers.core.listeners.management import ManagementPlace, Question

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r]")
_MOST_OCTETS = 256
"""Of a status line."""


def ask(place: ManagementPlace, question: Question, *, timeout: float) -> int | None:
    """The status of the answer; None if none came. It does not raise.

    `timeout` is in seconds, for making the connection and again for what is said on it. To whoever does not show a
    certificate of `ca_pem`, if there is one, nothing is said.
    """
    try:
        with dial(place.host, place.port, timeout=timeout) as plain:
            end = time.monotonic() + timeout
            if not place.ca_pem:
                return _status(plain, question, end)
            context = ssl.create_default_context(cadata=place.ca_pem)
            with context.wrap_socket(plain, server_hostname=place.host) as spoken:
                return _status(spoken, question, end)
    except (NeverABroker, OSError, ValueError):
        return None


def _status(link: socket.socket, question: Question, end: float) -> int | None:
    link.sendall(question.request)
    octets = b""
    while b"\n" not in octets and len(octets) < _MOST_OCTETS:
        left = end - time.monotonic()
        if left <= 0:
            return None
        link.settimeout(left)
        more = link.recv(_MOST_OCTETS)
        if not more:
            break
        octets += more
    found = _STATUS.match(octets)
    return int(found[1]) if found else None
