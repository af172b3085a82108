"""What a broker may be registered with."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509

from brokers.core.values import Listener
from kernel.core.errors import FieldError, Invalid

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?!.*\.\.)(?!.*[^.:]{64})[A-Za-z0-9]([A-Za-z0-9.:_-]{0,252}[A-Za-z0-9])?|::1?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # a line of its own would speak to whatever else listens at that port
_MAX_LISTENERS = 20
_MAX_TEXT = 1_024
_MAX_PEM = 200_000
EMBEDDED = "embedded"
"""What the broker is called that `manage.py run` brings along."""


class InvalidBroker(Invalid):
    """The broker can not be registered like this; `errors` say why."""

    code = "invalid-broker"


def name_errors(name: str) -> list[FieldError]:
    """What is wrong with a broker's name."""
    if _NAME.fullmatch(name):
        return []
    detail = "Give 1 to 63 lower-case letters, digits and inner hyphens."
    return [FieldError(pointer="/name", code="invalid-name", detail=detail)]


def listener_errors(listeners: Sequence[Listener], *, plain_port: int | None = None) -> list[FieldError]:
    """What is wrong with the listeners; `plain_port` is the one that the broker listens at without TLS."""
    errors = []
    if len(listeners) > _MAX_LISTENERS:
        detail = f"Give at most {_MAX_LISTENERS} listeners."
        errors.append(FieldError(pointer="/listeners", code="too-many-listeners", detail=detail))
    for number, listener in enumerate(listeners):
        errors += host_errors(listener.host, pointer=f"/listeners/{number}/host")
        errors += port_errors(listener.port, pointer=f"/listeners/{number}/port")
        if listener.port == plain_port:
            detail = "The listener profile has it without TLS: choose another, or change the profile."
            errors.append(FieldError(pointer=f"/listeners/{number}/port", code="port-taken", detail=detail))
    return errors


def host_errors(host: object, *, pointer: str) -> list[FieldError]:
    """What is wrong with a host: a DNS name or an IP address."""
    if isinstance(host, str) and _HOST.fullmatch(host):
        return []
    return [FieldError(pointer=pointer, code="invalid-host", detail="Give a DNS name or an IP address.")]


def port_errors(port: object, *, pointer: str) -> list[FieldError]:
    """What is wrong with a TCP port."""
    if isinstance(port, int) and not isinstance(port, bool) and 1 <= port <= 65_535:
        return []
    return [FieldError(pointer=pointer, code="invalid-port", detail="Give a TCP port from 1 to 65535.")]


def unknown_member_errors(members: Mapping[str, object], known: Sequence[str], *, pointer: str) -> list[FieldError]:
    """Members that nobody reads: a misspelt one would silently be missing."""
    listed = ", ".join(known)
    return [
        FieldError(
            pointer=f"{pointer}/{str(name)[:64]}",
            code="unknown-member",
            detail=f"There is no such member: the members are {listed}.",
        )
        for name in members
        if name not in known
    ]


def text_errors(
    connection: Mapping[str, object], names: Iterable[str], *, pointer: str = "/connection"
) -> list[FieldError]:
    """What is wrong with these members of a connection: each a line of text. What they hold is never quoted."""
    return [
        FieldError(
            pointer=f"{pointer}/{name}",
            code=f"invalid-{name}",
            detail=f"Give the {name} as one line of at most {_MAX_TEXT} characters.",
        )
        for name in names
        if not _is_line(connection.get(name))
    ]


def tls_errors(connection: Mapping[str, object], *, pointer: str = "/connection") -> list[FieldError]:
    """What is wrong with `ca_pem`: without it there is no TLS, which is for this machine alone."""
    pem, host = connection.get("ca_pem"), connection.get("host")
    if pem is None or pem == "":
        if isinstance(host, str) and not _is_loopback(host):
            detail = "The password would cross the network in the clear: give ca_pem, and the broker's TLS port."
            return [FieldError(pointer=f"{pointer}/ca_pem", code="tls-required", detail=detail)]
        return []
    try:
        if not isinstance(pem, str) or len(pem) > _MAX_PEM:
            raise ValueError
        x509.load_pem_x509_certificates(pem.encode("ascii"))
    except ValueError:
        detail = "Give the certificates of the broker's CA as PEM."
        return [FieldError(pointer=f"{pointer}/ca_pem", code="invalid-ca-pem", detail=detail)]
    return []


def connection_errors(connection: object, *, texts: Sequence[str], more: Sequence[str] = ()) -> list[FieldError]:
    """What is wrong with a connection that has `host`, `port`, these texts, perhaps `ca_pem`, and `more` members.

    Those are for the caller to look at. What a member holds is never quoted.
    """
    if not isinstance(connection, Mapping):
        detail = f"Give an object with host, port, {', '.join(texts)}."
        return [FieldError(pointer="/connection", code="invalid-connection", detail=detail)]
    known = ("host", "port", *texts, "ca_pem", *more)
    return place_errors(connection, known) + text_errors(connection, texts)


def place_errors(
    connection: Mapping[str, object], known: Sequence[str], *, pointer: str = "/connection"
) -> list[FieldError]:
    """What is wrong with where somebody is spoken to: `host`, `port` and `ca_pem`; and which members nobody reads."""
    errors = unknown_member_errors(connection, known, pointer=pointer)
    errors += host_errors(connection.get("host"), pointer=f"{pointer}/host")
    errors += port_errors(connection.get("port"), pointer=f"{pointer}/port")
    return errors + tls_errors(connection, pointer=pointer)


def refuse(errors: Sequence[FieldError]) -> None:
    """Nothing, if there is no error. Raises InvalidBroker."""
    if errors:
        raise InvalidBroker(
            f"The broker can not be registered like this: {errors[0].pointer} is wrong. {errors[0].detail}",
            errors=tuple(errors),
        )


def _is_line(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and not _CONTROL.search(value)


def _is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
