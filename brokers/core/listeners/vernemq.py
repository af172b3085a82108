"""A listener profile as lines of vernemq.conf, by its schema and documentation."""

from __future__ import annotations

from collections.abc import Iterator

from brokers.core.listeners.profile import ListenerProfile, TlsVersion
from brokers.core.listeners.rendering import (
    ERLANG_VERSIONS,
    ListenerWarning,
    RenderedFile,
    RenderedListeners,
    Site,
    no_limits,
    not_had,
)
from brokers.core.mosquitto.conf import CLIENT_CA_FILE, CRL_FILE, SERVER_CERTIFICATE_FILE, SERVER_KEY_FILE
from brokers.core.values import Listener, Transport
from kernel.core.findings import Severity

_KINDS = {Transport.MQTTS: "ssl", Transport.WSS: "wss"}
_DEPTH = 3
_MANAGEMENT = ListenerWarning(
    member="plain_port",
    severity=Severity.WARNING,
    what="VerneMQ's HTTP API answers anybody at port 8888 as it comes, and disconnects whom they name.",
    remedy="Set http_module.vmq_http_mgmt_api.auth.mode = apikey, and let no device reach it.",
)


def render_vernemq(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The lines; the plugin that judges names is not among them."""
    lines = [f"allow_anonymous = {_switch(profile.allow_anonymous)}"]
    members = {
        "max_client_id_size": profile.max_client_id_length,
        "topic_max_depth": profile.max_topic_levels,
        "max_message_size": profile.max_packet_size,
        "max_message_rate": profile.messages_per_second,
        "listener.max_connections": profile.max_connections,
        "mqtt_connect_timeout": None
        if profile.connect_timeout_seconds is None
        else profile.connect_timeout_seconds * 1_000,
    }
    lines += [f"{name} = {value}" for name, value in members.items() if value is not None]
    if profile.plain_port is not None:
        lines.append(f"listener.tcp.gatehouse = 0.0.0.0:{profile.plain_port}")
    for number, listener in enumerate(site.listeners, start=1):
        lines += _listener(profile, listener, name=f"gatehouse{number}")
    return RenderedListeners(
        files=(RenderedFile(name="vernemq.conf", text="\n".join(lines) + "\n"),),
        warnings=tuple(_warnings(profile, site)),
    )


def _listener(profile: ListenerProfile, listener: Listener, *, name: str) -> list[str]:
    place = f"listener.{_KINDS[listener.transport]}.{name}"
    members = {
        "cafile": profile.path(CLIENT_CA_FILE),
        "certfile": profile.path(SERVER_CERTIFICATE_FILE),
        "keyfile": profile.path(SERVER_KEY_FILE),
        "depth": _DEPTH,
        "tls_version": ERLANG_VERSIONS[profile.minimum_tls],
        # the suites are those of 1.2, and the listener takes one version
        "ciphers": None if profile.minimum_tls is TlsVersion.V1_3 else ":".join(profile.cipher_suites) or None,
        "require_certificate": _switch(profile.require_certificate),
        "use_identity_as_username": _switch(profile.certificate_names),
        "crlfile": profile.path(CRL_FILE) if profile.checks_crls else None,
    }
    if listener.transport is Transport.MQTTS:
        members["allowed_protocol_versions"] = "3,4,5"
    return [
        f"{place} = 0.0.0.0:{listener.port}",
        *(f"{place}.{member} = {value}" for member, value in members.items() if value is not None),
    ]


def _warnings(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    yield ListenerWarning(
        member="minimum_tls",
        severity=Severity.INFO,
        what=f"A listener of VerneMQ takes one version of TLS: these take {profile.minimum_tls} alone.",
        remedy="Give those who need another a listener apart.",
    )
    yield _MANAGEMENT
    yield from not_had(
        "allow_anonymous",
        "With allow_anonymous = on VerneMQ asks no plugin at all: every rule is off.",
        "Say false.",
        Severity.CRITICAL,
        asked=profile.allow_anonymous,
    )
    yield from not_had(
        "check_crl",
        f"VerneMQ takes {CRL_FILE} for a list of serial numbers: it looks neither at the issuer nor at the time.",
        "Put the CRLs of one trust bundle there, and keep them fresh: an old one is believed for ever.",
        asked=profile.checks_crls,
    )
    yield from not_had("check_ocsp", "VerneMQ asks nobody by OCSP.", "Use check_crl.", asked=profile.check_ocsp)
    yield from not_had(
        "staple_ocsp",
        "VerneMQ staples no OCSP answer to its own certificate.",
        "Say false, and renew its certificate often.",
        asked=profile.staple_ocsp,
    )
    yield from not_had(
        "proxy_protocol",
        "VerneMQ speaks the PROXY protocol only where it speaks no TLS itself: it is left out.",
        "Say false, and let the balancer hand TLS through.",
        asked=profile.proxy_protocol,
    )
    yield from not_had(
        "client_id_from_username",
        "VerneMQ ties the client id to nothing by itself.",
        "Let it ask Gatehouse (HTTP decisions), which compares them.",
        asked=profile.client_id_from_username,
    )
    yield from not_had(
        "websocket_path",
        "VerneMQ takes MQTT over WebSocket at /mqtt.",
        "Say /mqtt.",
        asked=profile.websocket_path != "/mqtt" and bool(site.of(Transport.WSS)),
    )
    missing = ("connections_per_second", "max_topic_length", "max_keep_alive_seconds")
    yield from no_limits(profile, missing, "VerneMQ")


def _switch(value: bool) -> str:  # noqa: FBT001
    return "on" if value else "off"
