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
_OCSP = (
    "ocsp_peer {",
    "  verify: true",
    "  ca_timeout: 2",
    "  allowed_clockskew: 30",
    "  warn_only: false",
    "  unknown_is_good: false",
    "  allow_when_ca_unreachable: false",
    "  cache_ttl_when_next_update_unset: 3600",
    "}",
)
_NO_LIMITS = (
    "connections_per_second",  # connection_rate_limit is for NATS' own protocol alone, wherever it stands
    "messages_per_second",
    "max_client_id_length",
    "max_topic_length",
    "max_topic_levels",
    "max_keep_alive_seconds",
)


def render_nats(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The parts, one listener of each transport: NATS has no more."""
    lines = _for_clients(profile) if _asks_ocsp(profile, site) else []
    for transport in Transport:
        for listener in site.of(transport)[:1]:
            lines += _listener(profile, listener, site)
    if profile.max_connections is not None:
        lines.append(f"max_connections: {profile.max_connections}")
    if profile.max_packet_size is not None:
        lines.append(f"max_payload: {min(profile.max_packet_size, _MOST_PAYLOAD)}")
    return RenderedListeners(
        files=(RenderedFile(name="nats.conf", text="\n".join(lines) + "\n"),), warnings=tuple(_warnings(profile, site))
    )


def _asks_ocsp(profile: ListenerProfile, site: Site) -> bool:
    """Whether the server asks by OCSP; Gatehouse, where it is asked at each CONNECT, knows more than that."""
    return profile.check_ocsp and profile.require_certificate and not site.asks


def _for_clients(profile: ListenerProfile) -> list[str]:
    """The block of NATS' own protocol: for MQTT too 2.15.1 takes from here whether to ask by OCSP.

    What it was told it forgets at once, or a revoked certificate would enter until the answer ends.
    """
    tls = [*_tls(profile, "verify"), *_OCSP]
    return ["ocsp_cache: false", "allow_non_tls: true", "tls {", *(f"  {line}" for line in tls), "}"]


def _listener(profile: ListenerProfile, listener: Listener, site: Site) -> list[str]:
    # without a callout the server itself has to know whose certificate it is
    tls = _tls(profile, "verify" if site.asks or not profile.certificate_names else "verify_and_map")
    if _asks_ocsp(profile, site):
        tls += _OCSP
    return [
        f"{_BLOCKS[listener.transport]} {{",
        f'  listen: "0.0.0.0:{listener.port}"',
        "  tls {",
        *(f"    {line}" for line in tls),
        "  }",
        "}",
    ]


def _tls(profile: ListenerProfile, verify: str) -> list[str]:
    """What every TLS block begins with."""
    least = max(profile.minimum_tls, TlsVersion.V1_2)
    lines = [
        f"cert_file: {json.dumps(profile.path(SERVER_CERTIFICATE_FILE))}",
        f"key_file: {json.dumps(profile.path(SERVER_KEY_FILE))}",
        f"ca_file: {json.dumps(profile.path(CLIENT_CA_FILE))}",
        f"{verify}: {truth(profile.require_certificate)}",
        f'min_version: "{least}"',
        f"timeout: {profile.connect_timeout_seconds or 5}",
    ]
    if suites := _suites(profile):
        names = ", ".join(f'"{suite.registered_name}"' for suite in suites)
        lines.append(f"cipher_suites: [{names}]")
    return lines


def _suites(profile: ListenerProfile) -> list[CipherSuite]:
    return [suite for suite in profile.cipher_suites if suite.forward_secret and suite.authenticated]


def _warnings(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    for transport in Transport:
        for listener in site.of(transport)[1:]:
            yield left_out(listener, "make", "NATS has one of each transport.", "Take it away from the broker.")
    yield from not_had(
        "make",
        "NATS takes MQTT over WebSocket beside a listener for MQTT alone: without one it answers devices with 404.",
        "Give the broker a listener of mqtts as well.",
        Severity.ERROR,
        asked=bool(site.of(Transport.WSS)) and not site.of(Transport.MQTTS),
    )
    yield from _on_revocation(profile, site)
    yield from not_had(
        "client_id_from_username",
        "Without a callout NATS ties the client id to nothing.",
        "Give each domain an account of its own, or let it ask Gatehouse (kind nats).",
        asked=profile.client_id_from_username and not site.asks,
    )
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
    yield from _on_tls(profile)
    yield from not_had(
        "websocket_path",
        "NATS takes MQTT over WebSocket at /mqtt.",
        "Say /mqtt.",
        asked=profile.websocket_path != "/mqtt" and bool(site.of(Transport.WSS)),
    )
    yield from no_limits(profile, _NO_LIMITS, "NATS")


def _on_tls(profile: ListenerProfile) -> Iterator[ListenerWarning]:
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


def _on_revocation(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    if _asks_ocsp(profile, site):
        yield from _on_ocsp(site)
        return
    checks = profile.check_crl or profile.check_ocsp
    yield from not_had(
        "check_crl",
        "NATS reads no CRL: Gatehouse is asked at each CONNECT, and judges the certificate with its chain.",
        "Nothing to do.",
        Severity.INFO,
        asked=checks and site.asks,
    )
    yield from not_had(
        "check_crl",
        "NATS reads no CRL: a revoked certificate is refused once its name is no user any more, and not before.",
        "Say true for check_ocsp and require_certificate, or let it ask Gatehouse (kind nats).",
        Severity.ERROR,
        asked=checks and not site.asks,
    )


def _on_ocsp(site: Site) -> Iterator[ListenerWarning]:
    yield from not_had(
        "check_ocsp",
        "A certificate that names no OCSP address is let in unasked, and profiles of this domain make such ones: "
        f"{', '.join(site.unasked)}.",
        "Have them name it, and renew what they made.",
        Severity.ERROR,
        asked=bool(site.unasked),
    )
    yield from not_had(
        "check_ocsp",
        "NATS asks by OCSP for MQTT only if the top-level tls block does, which is for the port that Gatehouse "
        "connects to, without a certificate: allow_non_tls keeps that port open for it, without TLS.",
        "Have that port listen on loopback, without another tls block, and no ca_pem in the broker's connection.",
    )
    yield from not_had(
        "check_ocsp",
        "While OCSP does not answer, nobody gets in. Who is in stays, revoked or not, until its name is no user any "
        "more.",
        "Have the server reach the address that stands in the certificates.",
        Severity.INFO,
    )
