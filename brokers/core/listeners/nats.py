"""A listener profile as the parts of nats.conf that listen for devices; accounts and the callout are elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

from brokers.core.listeners.cipher_suites import CipherSuite
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
from brokers.core.mosquitto.conf import CLIENT_CA_FILE, SERVER_CERTIFICATE_FILE, SERVER_KEY_FILE
from brokers.core.values import Listener, Transport
from kernel.core.findings import Severity

_MOST_PAYLOAD = 67_108_864  # max_pending, unless somebody says more: the server does not start with a greater one
_BLOCKS = {Transport.MQTTS: "mqtt", Transport.WSS: "websocket"}


def render_nats(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The parts, one listener of each transport: NATS has no more."""
    lines = []
    for transport in Transport:
        for listener in site.of(transport)[:1]:
            lines += _listener(profile, listener, asks=site.asks)
    if profile.max_connections is not None:
        lines.append(f"max_connections: {profile.max_connections}")
    if profile.max_packet_size is not None:
        lines.append(f"max_payload: {min(profile.max_packet_size, _MOST_PAYLOAD)}")
    return RenderedListeners(
        files=(RenderedFile(name="nats.conf", text="\n".join(lines) + "\n"),), warnings=tuple(_warnings(profile, site))
    )


def _listener(profile: ListenerProfile, listener: Listener, *, asks: bool) -> list[str]:
    least = max(profile.minimum_tls, TlsVersion.V1_2)
    # without a callout the server itself has to know whose certificate it is
    verify = "verify" if asks or not profile.certificate_names else "verify_and_map"
    tls = [
        f"cert_file: {json.dumps(profile.path(SERVER_CERTIFICATE_FILE))}",
        f"key_file: {json.dumps(profile.path(SERVER_KEY_FILE))}",
        f"ca_file: {json.dumps(profile.path(CLIENT_CA_FILE))}",
        f"{verify}: {truth(profile.require_certificate)}",
        f'min_version: "{least}"',
        f"timeout: {profile.connect_timeout_seconds or 5}",
    ]
    if suites := _suites(profile):
        names = ", ".join(f'"{suite.registered_name}"' for suite in suites)
        tls.append(f"cipher_suites: [{names}]")
    if profile.connections_per_second is not None and listener.transport is Transport.MQTTS:
        tls.append(f"connection_rate_limit: {profile.connections_per_second}")
    return [
        f"{_BLOCKS[listener.transport]} {{",
        f'  listen: "0.0.0.0:{listener.port}"',
        "  tls {",
        *(f"    {line}" for line in tls),
        "  }",
        "}",
    ]


def _suites(profile: ListenerProfile) -> list[CipherSuite]:
    return [suite for suite in profile.cipher_suites if suite.forward_secret and suite.authenticated]


def _warnings(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    for transport in Transport:
        for listener in site.of(transport)[1:]:
            yield left_out(listener, "make", "NATS has one of each transport.", "Take it away from the broker.")
    yield from _on_names(profile, asks=site.asks)
    yield from not_had(
        "staple_ocsp", "Whether NATS staples for MQTT nobody has shown: it is left out.", "Say false.",
        asked=profile.staple_ocsp,
    )  # fmt: skip
    yield from not_had(
        "proxy_protocol", "NATS does not take it for MQTT: it is left out.", "Say false.",
        asked=profile.proxy_protocol,
    )  # fmt: skip
    yield from not_had(
        "plain_port", "NATS has one listener for MQTT: it is left out.", "Say null.",
        asked=profile.plain_port is not None,
    )  # fmt: skip
    yield from not_had(
        "minimum_tls",
        "NATS is told 1.2 at the least: older versions are not rendered.",
        "Say 1.2.",
        asked=profile.minimum_tls < TlsVersion.V1_2,
    )
    yield from not_had(
        "cipher_suites",
        "NATS does not start with suites that Go calls insecure: those with CBC or without ECDHE are left out.",
        "Take suites that begin with ECDHE, with GCM or CHACHA20.",
        asked=len(_suites(profile)) < len(profile.cipher_suites),
    )
    yield from not_had(
        "websocket_path",
        "NATS takes MQTT over WebSocket at /mqtt.",
        "Say /mqtt.",
        asked=profile.websocket_path != "/mqtt" and bool(site.of(Transport.WSS)),
    )
    missing = (
        "messages_per_second", "max_client_id_length", "max_topic_length", "max_topic_levels",
        "max_keep_alive_seconds",
    )  # fmt: skip
    yield from no_limits(profile, missing, "NATS")


def _on_names(profile: ListenerProfile, *, asks: bool) -> Iterator[ListenerWarning]:
    checks = profile.check_crl or profile.check_ocsp
    yield from not_had(
        "check_crl",
        "NATS reads no CRL: Gatehouse is asked at each CONNECT, and judges the certificate with its chain.",
        "Nothing to do.",
        Severity.INFO,
        asked=checks and asks,
    )
    yield from not_had(
        "check_crl",
        "NATS reads no CRL: a revoked certificate is refused once its name is no user any more, and not before.",
        "Set ocsp_peer in the mqtt block and in the top-level tls block, or let it ask Gatehouse (kind nats).",
        Severity.ERROR,
        asked=checks and not asks,
    )
    yield from not_had(
        "client_id_from_username",
        "Without a callout NATS ties the client id to nothing.",
        "Give each domain an account of its own, or let it ask Gatehouse (kind nats).",
        asked=profile.client_id_from_username and not asks,
    )
