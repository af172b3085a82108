"""A listener profile as lines of mosquitto.conf: 2.0, and 2.1 where the broker is one."""

from __future__ import annotations

from collections.abc import Iterator

from brokers.core.listeners.profile import ListenerProfile, TlsVersion
from brokers.core.listeners.rendering import (
    ListenerWarning,
    RenderedFile,
    RenderedListeners,
    Site,
    left_out,
    no_limits,
    not_had,
    truth,
)
from brokers.core.mosquitto.conf import CLIENT_CA_FILE, CRL_FILE, SERVER_CERTIFICATE_FILE, SERVER_KEY_FILE
from brokers.core.values import Listener, Transport
from kernel.core.findings import Severity

_WEBSOCKETS_ALONE_SINCE = (2, 1)


def render_mosquitto(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The lines, to stand after those for accounts and logs."""
    taken = site.listeners
    if profile.checks_crls:
        taken = tuple(site.of(Transport.MQTTS))
    lines = [
        "# one set of accounts for all listeners; has to stand before the first of them",
        "per_listener_settings false",
        f"allow_anonymous {truth(profile.allow_anonymous)}",
        # an empty client id is refused before it would be given the name
        f"allow_zero_length_clientid {truth(profile.certificate_names and profile.client_id_from_username)}",
        "set_tcp_nodelay true",
    ]
    if profile.max_packet_size is not None:
        lines.append(f"max_packet_size {profile.max_packet_size}")
    if profile.max_keep_alive_seconds is not None:
        lines.append(f"max_keepalive {profile.max_keep_alive_seconds}")
    if profile.plain_port is not None:
        lines += ["", f"listener {profile.plain_port}", *_limits(profile)]
    for listener in taken:
        lines += ["", *_listener(profile, listener)]
    text = "\n".join(lines) + "\n"
    return RenderedListeners(
        files=(RenderedFile(name="mosquitto.conf", text=text),), warnings=tuple(_warnings(profile, site))
    )


def _listener(profile: ListenerProfile, listener: Listener) -> list[str]:
    # tls_version is the least that is taken; 1.0 it does not know
    least = max(profile.minimum_tls, TlsVersion.V1_1)
    lines = [
        f"listener {listener.port}",
        *(["protocol websockets"] if listener.transport is Transport.WSS else []),
        f"cafile {profile.path(CLIENT_CA_FILE)}",
        f"certfile {profile.path(SERVER_CERTIFICATE_FILE)}",
        f"keyfile {profile.path(SERVER_KEY_FILE)}",
        f"tls_version tlsv{least}",
        f"require_certificate {truth(profile.require_certificate)}",
    ]
    if profile.cipher_suites:
        lines.append(f"ciphers {':'.join(profile.cipher_suites)}")
    if profile.certificate_names:
        lines.append("use_identity_as_username true")
    if profile.client_id_from_username:
        lines.append("use_username_as_clientid true")
    if profile.checks_crls:
        lines.append(f"crlfile {profile.path(CRL_FILE)}")
    return [*lines, *_limits(profile)]


def _limits(profile: ListenerProfile) -> list[str]:
    return [] if profile.max_connections is None else [f"max_connections {profile.max_connections}"]


def _warnings(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    if profile.checks_crls:
        yield from _on_crls(site)
    elif not site.of(Transport.MQTTS) and profile.plain_port is None and not site.is_at_least(*_WEBSOCKETS_ALONE_SINCE):
        yield ListenerWarning(
            member="make",
            severity=Severity.ERROR,
            what="Before 2.1 Mosquitto does not start with listeners for WebSocket alone.",
            remedy="Give the broker a listener of mqtts as well.",
        )
    yield from not_had(
        "check_ocsp",
        "Mosquitto asks nobody by OCSP about certificates of clients.",
        "Use check_crl.",
        asked=profile.check_ocsp,
    )
    yield from not_had(
        "staple_ocsp",
        "Mosquitto staples no OCSP answer to its own certificate.",
        "Say false, and renew its certificate often.",
        asked=profile.staple_ocsp,
    )
    yield from not_had(
        "proxy_protocol",
        "Mosquitto speaks the PROXY protocol from 2.1 on, and only where it speaks no TLS itself: it is left out, and "
        "addresses are those of the balancer.",
        "Say false, and let the balancer hand TLS through.",
        asked=profile.proxy_protocol,
    )
    yield from not_had(
        "minimum_tls",
        "Mosquitto has no TLS 1.0: it is told 1.1, which most OpenSSLs refuse.",
        "Say 1.2.",
        asked=profile.minimum_tls is TlsVersion.V1_0,
    )
    yield from not_had(
        "max_keep_alive_seconds",
        "Before 2.0.12 a client of MQTT 3.1.1 may be silent for as long as it likes.",
        "Put a newer Mosquitto there.",
        Severity.INFO,
        asked=profile.max_keep_alive_seconds is not None and not site.is_at_least(2, 0, 12),
    )
    missing = (
        "connections_per_second", "messages_per_second", "max_client_id_length", "max_topic_length",
        "max_topic_levels", "connect_timeout_seconds",
    )  # fmt: skip
    yield from no_limits(profile, missing, "Mosquitto")


def _on_crls(site: Site) -> Iterator[ListenerWarning]:
    yield ListenerWarning(
        member="check_crl",
        severity=Severity.WARNING,
        what=f"{CRL_FILE} has to hold the CRL of each CA that signs certificates of devices, in its time: one that is "
        "missing or over refuses all of its devices, one that can not be read after SIGHUP lets revoked ones in.",
        remedy="Let Gatehouse write it (a folder in the broker's connection), or write by rename and look at the log.",
    )
    for listener in site.of(Transport.WSS):
        yield left_out(
            listener,
            "check_crl",
            "over WebSocket Mosquitto does not look at CRLs, and a revoked certificate connects.",
            "Take the listener away from the broker, or say check_crl false and know what you do.",
        )
