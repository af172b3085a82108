"""Looks at a listener from outside, as a stranger would: a few connections, each bounded, none with a secret.

It says what it saw and hands nothing on of what the other side sent.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from cryptography import x509

from brokers.adapters.dialing import NeverABroker, dial
from brokers.core.listeners.first_connect import (
    ACCEPTED,
    UNPROVED,
    anonymous_connect,
    binary_frame,
    connack_code,
    frame_body,
    is_upgraded,
    upgrade_request,
)
from brokers.core.listeners.probe import Answer, Observation
from brokers.core.listeners.profile import TlsVersion
from brokers.core.listeners.server_names import covers, is_address
from brokers.core.listeners.tls_hello import MOST_OCTETS, BrokenFlight, ServerFlight, client_hello, read_flight
from brokers.core.values import Listener, Transport

_OLD = {TlsVersion.V1_0: 1, TlsVersion.V1_1: 2}
_MOST_ANSWER = 4_096
SILENT = "Nobody answers there in TLS."
FORBIDDEN = "Its name leads to an address where there is never a broker, so it is not connected to."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The listener at the one address that was looked at, and how long each connection and all of them may take."""

    listener: Listener
    address: str
    timeout: float
    end: float

    @property
    def name(self) -> str:
        """The name that is asked for in TLS; empty for an address."""
        return "" if is_address(self.listener.host) else self.listener.host

    def left(self) -> float:
        """For how many seconds something may still go on. Raises TimeoutError."""
        left = min(self.timeout, self.end - time.monotonic())
        if left <= 0:
            raise TimeoutError
        return left


def observe(listener: Listener, *, trust_pem: str, path: str, timeout: float, in_all: float) -> Observation:
    """What was seen in at most nine connections, one after another. Whatever the other side does, it does not raise.

    `timeout` is in seconds, for making a connection and again for what is said on it, `in_all` for all of them and for
    looking up the name; `path` is that of WebSocket. What does not speak TLS is told like what is not there.
    """
    end = time.monotonic() + in_all
    try:
        with dial(listener.host, listener.port, timeout=timeout) as link:
            place = _Place(listener=listener, address=link.getpeername()[0], timeout=timeout, end=end)
    except NeverABroker:
        return Observation(fault=FORBIDDEN, versions={})
    except OSError:
        return Observation(fault=SILENT, versions={})
    newest, takes_1_3 = _flight(place, 3), _takes_1_3(place)
    if not takes_1_3 and not newest.whole:  # whoever says nothing to this says nothing to the rest
        return Observation(fault=SILENT, versions={})
    versions = {version: taken for version, minor in _OLD.items() if (taken := _takes(place, minor)) is not None}
    versions |= {TlsVersion.V1_2: newest.version == (3, 3), TlsVersion.V1_3: takes_1_3}
    leaf, chain_fault = _chain(place, trust_pem, newest)
    seen = Observation(
        versions=versions,
        chain_fault=chain_fault,
        answer=_answer(place, path, asked=newest.asks_certificate) if any(versions.values()) else None,
    )
    if versions[TlsVersion.V1_2] and newest.whole:
        seen = replace(seen, stapled=newest.stapled, asks_certificate=newest.asks_certificate)
    return _with_leaf(seen, leaf, listener.host)


def _with_leaf(seen: Observation, leaf: bytes, host: str) -> Observation:
    try:
        certificate = x509.load_der_x509_certificate(leaf)
        return replace(seen, named=covers(certificate, host), not_after=certificate.not_valid_after_utc)
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return seen


def _connect(place: _Place) -> socket.socket:
    return socket.create_connection((place.address, place.listener.port), timeout=place.left())


def _flight(place: _Place, minor: int) -> ServerFlight:
    """What the server says to one who offers that version."""
    octets, found = b"", ServerFlight()
    try:
        end = time.monotonic() + place.left()
        with _connect(place) as link:
            link.sendall(client_hello(minor, host=place.name, random=os.urandom(32)))
            while not found.whole and len(octets) < MOST_OCTETS:
                more = _receive(link, end)
                if not more:
                    break
                octets += more
                found = read_flight(octets)
    except (OSError, BrokenFlight):
        pass
    return found


def _takes(place: _Place, minor: int) -> bool | None:
    """Whether the server takes that version; None if it said nothing, as who has no place left does."""
    found = _flight(place, minor)
    if found.version is None and not found.whole:
        return None
    return found.version == (3, minor)


def _receive(link: socket.socket, end: float) -> bytes:
    """Some octets, none once the other side has ended. Raises TimeoutError when the time is over."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    link.settimeout(left)
    return link.recv(_MOST_ANSWER)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _wrap(link: socket.socket, context: ssl.SSLContext, place: _Place) -> ssl.SSLSocket:
    link.settimeout(place.left())
    return context.wrap_socket(link, server_hostname=place.name or None)


def _takes_1_3(place: _Place) -> bool:
    """Whether a handshake of 1.3 ends well on our side: the server looks at our certificate after that."""
    context = _context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        with _connect(place) as link, _wrap(link, context, place):
            return True
    except (OSError, ValueError):
        return False


def _chain(place: _Place, trust_pem: str, flight: ServerFlight) -> tuple[bytes, str | None]:
    """The server's certificate (DER; empty if unseen), and why what it shows does not lead to `trust_pem`.

    Empty if it does; None if that can not be said.
    """
    leaf, context = flight.certificates[0] if flight.certificates else b"", _context()
    try:
        with _connect(place) as link, _wrap(link, context, place) as spoken:
            leaf = spoken.getpeercert(binary_form=True) or leaf
    except (OSError, ValueError):
        pass
    if not trust_pem:
        return leaf, "the domain trusts no CA yet"
    context = _context()
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata=trust_pem)
        with _connect(place) as link, _wrap(link, context, place):
            return leaf, ""
    except ssl.SSLCertVerificationError as error:
        return leaf, str(error.verify_message)[:100]
    except ssl.SSLError as error:
        # in 1.2 the server looks for our certificate only after we were content with its own
        content = bool(leaf) and _misses_certificate(error, asked=True)
        return leaf, "" if content else None
    except (OSError, ValueError):
        return leaf, None


def _answer(place: _Place, path: str, *, asked: bool) -> Answer | None:
    """What comes of a CONNECT without certificate and name; None if nothing was said in time.

    `asked`: the server asks for a certificate, so that a failed handshake is about that.
    """

    def connect(spoken: ssl.SSLSocket, end: float) -> Answer:
        return _said(spoken, place.listener, path, end=end)

    answer = _heard(place, connect, asked=asked)
    if answer is Answer.CLOSED:  # sending may have failed before an alert was read
        return _heard(place, _last_words, asked=asked) or answer
    return answer


def _heard(place: _Place, speak: Callable[[ssl.SSLSocket, float], Answer], *, asked: bool) -> Answer | None:
    """What comes of speaking on a new connection; None if nothing was said in time."""
    try:
        with _connect(place) as link, _wrap(link, _context(), place) as spoken:
            return speak(spoken, time.monotonic() + place.left())
    except TimeoutError:
        return None
    except ssl.SSLError as error:
        return Answer.REFUSED_IN_TLS if _misses_certificate(error, asked=asked) else Answer.CLOSED
    except (OSError, ValueError):
        return Answer.CLOSED


def _misses_certificate(error: ssl.SSLError, *, asked: bool) -> bool:
    """Whether the server ended the handshake for want of our certificate; a mere failure says so if one was `asked`."""
    reason = error.reason or ""
    return "CERTIFICATE" in reason or (asked and "HANDSHAKE_FAILURE" in reason)


def _last_words(spoken: ssl.SSLSocket, end: float) -> Answer:
    """What the server says to who has nothing to say; an alert is raised."""
    with suppress(OSError):  # the server may have ended it already, after its words
        socket.socket.shutdown(spoken, socket.SHUT_WR)  # beneath TLS, whose own would forget what it was about to read
    return Answer.OTHER if _receive(spoken, end) else Answer.CLOSED


def _said(spoken: ssl.SSLSocket, listener: Listener, path: str, *, end: float) -> Answer:
    """What CONNACK says; OTHER if it is none, or there is no WebSocket."""
    packet = anonymous_connect(f"gatehouse-probe-{os.urandom(4).hex()}")
    if listener.transport is Transport.MQTTS:
        spoken.sendall(packet)
        return _connack(spoken, end)
    spoken.sendall(upgrade_request(host=listener.host, port=listener.port, path=path, key=os.urandom(16)))
    head = _until_head(spoken, end)
    if not is_upgraded(head):
        return Answer.OTHER if head else Answer.CLOSED
    spoken.sendall(binary_frame(packet, mask=os.urandom(4)))
    return _connack(spoken, end, unframed=frame_body)


def _connack(spoken: ssl.SSLSocket, end: float, unframed: Callable[[bytes], bytes] = lambda octets: octets) -> Answer:
    octets = b""
    while len(octets) < _MOST_ANSWER and (more := _receive(spoken, end)):
        octets += more
        code = connack_code(unframed(octets))
        if code == ACCEPTED:
            return Answer.ADMITTED
        if code is not None:
            return Answer.REFUSED if code in UNPROVED else Answer.OTHER
    return Answer.OTHER if octets else Answer.CLOSED


def _until_head(spoken: ssl.SSLSocket, end: float) -> bytes:
    octets = b""
    while b"\r\n\r\n" not in octets and len(octets) < _MOST_ANSWER:
        more = _receive(spoken, end)
        if not more:
            break
        octets += more
    return octets
