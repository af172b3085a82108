"""What a broker's listeners should be like, whatever its make: TLS, certificates, limits. Safe unless told otherwise.

It must not know how any make of broker says it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from brokers.core.listeners.cipher_suites import CipherSuite
from brokers.core.registration import unknown_member_errors
from brokers.core.values import AdapterKind
from kernel.core.errors import FieldError, Invalid

_FOLDER = re.compile(r"(?=.{2,200}\Z)(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_PATH = re.compile(r"(?=.{2,100}\Z)(?:/[A-Za-z0-9_-]+)+")
_MOST_PROXIES = 20
_Member = TypeVar("_Member", bound=StrEnum)


class InvalidListenerProfile(Invalid):
    """The profile can not be like this; `errors` say why."""

    code = "invalid-listener-profile"


class Make(StrEnum):
    """The brokers whose configuration is written."""

    MOSQUITTO = "mosquitto"
    RABBITMQ = "rabbitmq"
    EMQX = "emqx"
    HIVEMQ = "hivemq"
    VERNEMQ = "vernemq"
    NANOMQ = "nanomq"
    NATS = "nats"


_MAKES_BY_FIRST_WORD: Mapping[str, tuple[Make, ...]] = {
    **{make.value: (make,) for make in Make},
    "goauth": (Make.MOSQUITTO,),
    "http": (Make.EMQX, Make.RABBITMQ, Make.VERNEMQ, Make.MOSQUITTO, Make.NANOMQ),
}


def makes_of(kind: AdapterKind) -> tuple[Make, ...]:
    """What a broker of that kind may be; the first unless somebody says otherwise."""
    return _MAKES_BY_FIRST_WORD[kind.value.partition("-")[0]]


class TlsVersion(StrEnum):
    """Versions of TLS, the oldest first."""

    V1_0 = "1.0"
    V1_1 = "1.1"
    V1_2 = "1.2"
    V1_3 = "1.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerProfile:
    """How a broker should listen. A limit that is None is left to the broker.

    `folder` is where the broker finds its certificate, its key, the CAs of its clients and their CRLs. No
    `cipher_suites` means the broker's own choice; they are for TLS 1.2 and older. `proxies` are the networks that the
    PROXY protocol is taken from, `plain_port` is a port without TLS beside the others. Lengths are in octets.
    """

    make: Make
    folder: str = "/etc/gatehouse"
    minimum_tls: TlsVersion = TlsVersion.V1_2
    cipher_suites: tuple[CipherSuite, ...] = ()
    require_certificate: bool = True
    username_from_certificate: bool = True
    client_id_from_username: bool = True
    allow_anonymous: bool = False
    check_crl: bool = True
    check_ocsp: bool = False
    staple_ocsp: bool = False
    proxy_protocol: bool = False
    proxies: tuple[str, ...] = ()
    plain_port: int | None = None
    websocket_path: str = "/mqtt"
    max_connections: int | None = None
    connections_per_second: int | None = 200
    messages_per_second: int | None = 100
    max_client_id_length: int | None = 255
    max_topic_length: int | None = 500
    max_topic_levels: int | None = 20
    max_packet_size: int | None = 262_144
    connect_timeout_seconds: int | None = 10
    max_keep_alive_seconds: int | None = 1_200

    def path(self, name: str) -> str:
        """Where the broker finds a file of that name."""
        return f"{self.folder}/{name}"

    @property
    def certificate_names(self) -> bool:
        """Whether who somebody is comes from a certificate that was verified, and from nothing else."""
        return self.require_certificate and self.username_from_certificate

    @property
    def checks_crls(self) -> bool:
        """Whether the certificates that are asked for are looked up in CRLs."""
        return self.require_certificate and self.check_crl


MEMBERS = tuple(field.name for field in fields(ListenerProfile))

LIMITS: Mapping[str, tuple[int, int]] = {
    "max_connections": (1, 10_000_000),
    "connections_per_second": (1, 100_000),
    "messages_per_second": (1, 1_000_000),
    "max_client_id_length": (23, 65_535),
    "max_topic_length": (1, 65_535),
    "max_topic_levels": (1, 65_535),
    "max_packet_size": (1_024, 268_435_455),
    "connect_timeout_seconds": (1, 300),
    "max_keep_alive_seconds": (10, 65_535),
    "plain_port": (1, 65_535),
}
"""The least and the greatest of each number, inclusive."""

_FLAGS = frozenset(
    {
        "require_certificate",
        "username_from_certificate",
        "client_id_from_username",
        "allow_anonymous",
        "check_crl",
        "check_ocsp",
        "staple_ocsp",
        "proxy_protocol",
    }
)


def profile_document(profile: ListenerProfile) -> dict[str, Any]:
    """The profile as a JSON object, every member in it."""
    return {
        name: list(value) if isinstance(value, tuple) else value.value if isinstance(value, StrEnum) else value
        for name, value in asdict(profile).items()
    }


def read_profile(document: object, *, kind: AdapterKind) -> ListenerProfile:
    """The profile of a JSON object, for a broker of that kind; what is left out is as safe as can be.

    Raises InvalidListenerProfile, which names each wrong member.
    """
    makes = makes_of(kind)
    if not isinstance(document, Mapping):
        _refuse([FieldError(pointer="", code="invalid-profile", detail="Give a JSON object.")])
    given: dict[str, Any] = {"make": makes[0].value, **document}  # type: ignore[dict-item]
    errors = unknown_member_errors(given, MEMBERS, pointer="")
    values: dict[str, Any] = {}
    for name in MEMBERS:
        if name in given:
            try:
                values[name] = _reader(name, makes)(given[name])
            except ValueError as error:
                errors.append(FieldError(pointer=f"/{name}", code="invalid-value", detail=str(error)))
    if errors:
        _refuse(errors)
    return ListenerProfile(**values)


def _refuse(errors: list[FieldError]) -> None:
    first = errors[0]
    raise InvalidListenerProfile(
        f"The profile can not be like this: {first.pointer or 'it'} is wrong. {first.detail}", errors=tuple(errors)
    )


def _reader(name: str, makes: tuple[Make, ...]) -> Callable[[object], Any]:
    if name in LIMITS:
        return lambda value: _number(value, *LIMITS[name])
    if name in _FLAGS:
        return _flag
    return {
        "make": lambda value: _one_of(value, makes),
        "minimum_tls": lambda value: _one_of(value, tuple(TlsVersion)),
        "cipher_suites": _suites,
        "proxies": _networks,
        "folder": lambda value: _matching(value, _FOLDER, "an absolute folder of letters, digits, dots and hyphens"),
        "websocket_path": lambda value: _matching(value, _PATH, "a path such as /mqtt of letters, digits and hyphens"),
    }[name]


def _number(value: object, least: int, greatest: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest:
        return value
    raise ValueError(f"Give a whole number from {least} to {greatest}, or null for none.")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("Give true or false.")


def _one_of(value: object, members: tuple[_Member, ...]) -> _Member:
    for member in members:
        if value == member.value:
            return member
    raise ValueError(f"Give one of {', '.join(members)}.")


def _matching(value: object, pattern: re.Pattern[str], words: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise ValueError(f"Give {words}.")


def _suites(value: object) -> tuple[CipherSuite, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("Give a list of names of suites.")  # noqa: TRY004 - the value of a document is wrong
    found = tuple(_one_of(each, tuple(CipherSuite)) for each in value)
    if len(set(found)) < len(found):
        raise ValueError("Give each suite once.")
    return found


def _networks(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MOST_PROXIES:
        raise ValueError(f"Give a list of at most {_MOST_PROXIES} networks such as 10.1.0.0/24.")
    try:
        # a zone (RFC 4007 11) may be any text, and would stand in configurations
        names = [each if isinstance(each, str) and "%" not in each else "" for each in value]
        return tuple(str(ipaddress.ip_network(name)) for name in names)
    except ValueError:
        raise ValueError("Give networks such as 10.1.0.0/24 or 2001:db8::/64, without host bits.") from None
