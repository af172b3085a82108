"""What the renderings of a listener profile have in common: the values, and what is unsafe whatever the broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from brokers.core.listeners.profile import ListenerProfile, TlsVersion
from brokers.core.values import Listener, Transport
from brokers.core.versions import numbers_of
from kernel.core.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerWarning:
    """What is unsafe, or can not be had from the broker: for which member of the profile, and what to do."""

    member: str
    severity: Severity
    what: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the profile is for: the listeners of the broker, its version (empty if unknown), its CA's OCSP address.

    `asks` says that it asks Gatehouse at each CONNECT; `unasked` are the profiles of clients' certificates that do not
    say where OCSP answers.
    """

    listeners: tuple[Listener, ...]
    version: str = ""
    ocsp_url: str = ""
    asks: bool = False
    unasked: tuple[str, ...] = ()

    def of(self, transport: Transport) -> list[Listener]:
        """The listeners of that transport."""
        return [listener for listener in self.listeners if listener.transport is transport]

    def is_at_least(self, *version: int) -> bool:
        """Whether the broker's version is known and not older than that."""
        return numbers_of(self.version) >= version


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    """A file of the broker, or what belongs into it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedListeners:
    """A profile in a broker's own words, and what to know about it."""

    files: tuple[RenderedFile, ...]
    warnings: tuple[ListenerWarning, ...]


ERLANG_VERSIONS = {
    TlsVersion.V1_3: "tlsv1.3",
    TlsVersion.V1_2: "tlsv1.2",
    TlsVersion.V1_1: "tlsv1.1",
    TlsVersion.V1_0: "tlsv1",
}
SUITES_OF_1_3 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def truth(value: bool) -> str:  # noqa: FBT001
    """The word for it, as most configurations have it."""
    return "true" if value else "false"


def erlang_versions(profile: ListenerProfile) -> list[str]:
    """The versions of TLS that are taken, as Erlang calls them, the newest first."""
    return [name for version, name in ERLANG_VERSIONS.items() if version >= profile.minimum_tls]


def all_suites(profile: ListenerProfile) -> list[str]:
    """The suites by OpenSSL's names, with those of TLS 1.3, where one list is for both. Empty if none is said."""
    return [*SUITES_OF_1_3, *profile.cipher_suites] if profile.cipher_suites else []


LIMIT_WORDS: Mapping[str, str] = {
    "max_connections": "the number of connections",
    "connections_per_second": "how many may connect in a second",
    "messages_per_second": "how many messages a client may send in a second",
    "max_client_id_length": "the length of a client id",
    "max_topic_length": "the length of a topic",
    "max_topic_levels": "the number of a topic's levels",
    "max_packet_size": "the size of a packet",
    "connect_timeout_seconds": "how long a connection may wait with its CONNECT",
    "max_keep_alive_seconds": "how long a client may be silent",
}


def no_limits(profile: ListenerProfile, members: Iterable[str], broker: str) -> Iterator[ListenerWarning]:
    """One warning for each limit that is asked for and that the broker does not have."""
    for member in members:
        if getattr(profile, member) is not None:
            yield ListenerWarning(
                member=member,
                severity=Severity.WARNING,
                what=f"{broker} can not limit {LIMIT_WORDS[member]}.",
                remedy="Limit it at the firewall or balancer before the broker, or leave it empty to be told no more.",
            )


def not_had(
    member: str, what: str, remedy: str, severity: Severity = Severity.WARNING, *, asked: bool = True
) -> list[ListenerWarning]:
    """The warning, if `asked`."""
    return [ListenerWarning(member=member, severity=severity, what=what, remedy=remedy)] if asked else []


def left_out(listener: Listener, member: str, why: str, remedy: str) -> ListenerWarning:
    """A listener that is not in the rendering, since it would be less than the profile asks for."""
    return ListenerWarning(
        member=member,
        severity=Severity.ERROR,
        what=f"{listener.transport}://{listener.host}:{listener.port} is left out: {why}",
        remedy=remedy,
    )


def unsafe_choices(profile: ListenerProfile) -> list[ListenerWarning]:
    """What the profile itself lets in, whatever the broker."""
    return [*_unsafe_names(profile), *_unsafe_channel(profile)]


def _unsafe_names(profile: ListenerProfile) -> Iterator[ListenerWarning]:
    if profile.allow_anonymous:
        what = "Whoever gives no name is let in."
        yield _unsafe("allow_anonymous", Severity.CRITICAL, what, "Say false.")
    if not profile.require_certificate:
        what = "No client certificate is asked for: a password alone lets in, and no revocation keeps out."
        yield _unsafe("require_certificate", Severity.CRITICAL, what, "Say true, and give the others a broker apart.")
    elif not profile.username_from_certificate:
        what = "Any valid certificate with another account's password logs in as that account."
        yield _unsafe("username_from_certificate", Severity.CRITICAL, what, "Say true.")
    elif not profile.check_crl:
        what = "A revoked certificate passes the handshake."
        yield _unsafe("check_crl", Severity.ERROR, what, "Say true, and keep the CRL fresh.")
    if not profile.client_id_from_username:
        what = "Whoever is let in takes over another's session, and its waiting messages, by its client id."
        yield _unsafe("client_id_from_username", Severity.WARNING, what, "Say true.")


def _unsafe_channel(profile: ListenerProfile) -> Iterator[ListenerWarning]:
    if profile.minimum_tls in {TlsVersion.V1_0, TlsVersion.V1_1}:
        what = f"TLS {profile.minimum_tls} is broken, and forbidden by RFC 8996."
        yield _unsafe("minimum_tls", Severity.ERROR, what, "Say 1.2, or 1.3 if every device can.")
    if profile.plain_port is not None:
        what = f"At port {profile.plain_port} there is no TLS: names, passwords and messages are read on the way."
        yield _unsafe("plain_port", Severity.CRITICAL, what, "Say null.")
    if profile.proxy_protocol and not profile.proxies:
        what = "Whoever reaches the listener says himself where he comes from, and to some brokers who he is."
        yield _unsafe("proxy_protocol", Severity.ERROR, what, "Name the balancers in proxies, and let in only them.")
    for suite in profile.cipher_suites:
        if not suite.forward_secret:
            what = f"With {suite} whoever gets the server's key later reads what was said before."
            yield _unsafe("cipher_suites", Severity.WARNING, what, "Take suites that begin with ECDHE.")
        elif not suite.authenticated:
            what = f"{suite} pads blocks, which was attacked again and again."
            yield _unsafe("cipher_suites", Severity.WARNING, what, "Take suites with GCM or CHACHA20.")


def _unsafe(member: str, severity: Severity, what: str, remedy: str) -> ListenerWarning:
    return ListenerWarning(member=member, severity=severity, what=what, remedy=remedy)
