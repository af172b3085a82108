"""A listener profile as lines of rabbitmq.conf, and of advanced.config where only that can say it."""

from __future__ import annotations

from collections.abc import Iterator

from brokers.core.listeners.profile import ListenerProfile
from brokers.core.listeners.rendering import (
    ListenerWarning,
    RenderedFile,
    RenderedListeners,
    Site,
    all_suites,
    erlang_versions,
    left_out,
    no_limits,
    not_had,
    truth,
)
from brokers.core.mosquitto.conf import CLIENT_CA_FILE, SERVER_CERTIFICATE_FILE, SERVER_KEY_FILE
from brokers.core.values import Transport
from kernel.core.findings import Severity

_DEPTH = 3
_SIZES_SINCE = (3, 13)
_OTHERS = (
    "management.tcp.ip = 127.0.0.1",
    "web_mqtt.tcp.ip = 127.0.0.1",
    "web_stomp.tcp.ip = 127.0.0.1",
    "stomp.listeners.tcp = none",
    "stream.listeners.tcp = none",
    "prometheus.tcp.ip = 127.0.0.1",
)
_NAMES = "{rabbitmq_mqtt,[{ignore_colons_in_username,true}]}"
_NO_LIMITS = (
    "connections_per_second", "messages_per_second", "max_client_id_length",
    "max_topic_length", "max_topic_levels", "max_keep_alive_seconds",
)  # fmt: skip
_MANAGEMENT = ListenerWarning(
    member="plain_port",
    severity=Severity.INFO,
    what="RabbitMQ's management API, and metrics and WebSockets where their plugins are enabled, are reached without "
    "TLS, from its own machine alone: so is its account guest, whose password everybody knows.",
    remedy="Delete guest. A Gatehouse elsewhere needs management.ssl.port with a certificate, and Prometheus "
    "prometheus.ssl.port.",
)


def render_rabbitmq(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The lines, and an advanced.config; with CRLs its `ssl_options` take the place of all others."""
    lines = [
        "# no AMQP for devices, and what else RabbitMQ opens without TLS for this machine alone, where it is enabled",
        "listeners.tcp = none",
        *_OTHERS,
        "mqtt.listeners.tcp = none" if profile.plain_port is None else f"mqtt.listeners.tcp.1 = {profile.plain_port}",
        *(f"mqtt.listeners.ssl.{n} = {each.port}" for n, each in enumerate(site.of(Transport.MQTTS), start=1)),
        f"mqtt.allow_anonymous = {truth(profile.allow_anonymous)}",
        f"mqtt.ssl_cert_login = {truth(profile.certificate_names)}",
        *(["ssl_cert_login_from = common_name"] if profile.certificate_names else []),
        f"mqtt.proxy_protocol = {truth(profile.proxy_protocol)}",
        *_limits(profile, site),
        *_tls(profile),
    ]
    files = (
        RenderedFile(name="rabbitmq.conf", text="\n".join(lines) + "\n"),
        RenderedFile(name="advanced.config", text=_advanced(profile)),
    )
    return RenderedListeners(files=files, warnings=tuple(_warnings(profile, site)))


def _limits(profile: ListenerProfile, site: Site) -> list[str]:
    lines = []
    if profile.max_connections is not None:
        lines.append(f"connection_max = {profile.max_connections}")
    if profile.connect_timeout_seconds is not None:
        lines.append(f"mqtt.login_timeout = {profile.connect_timeout_seconds * 1_000}")
    if profile.max_packet_size is not None and site.is_at_least(*_SIZES_SINCE):
        lines.append(f"mqtt.max_packet_size_authenticated = {profile.max_packet_size}")
        lines.append(f"mqtt.max_packet_size_unauthenticated = {min(profile.max_packet_size, 65_536)}")
    return lines


def _tls(profile: ListenerProfile) -> list[str]:
    return [
        f"ssl_options.cacertfile = {profile.path(CLIENT_CA_FILE)}",
        f"ssl_options.certfile = {profile.path(SERVER_CERTIFICATE_FILE)}",
        f"ssl_options.keyfile = {profile.path(SERVER_KEY_FILE)}",
        f"ssl_options.verify = {_verify(profile)}",
        f"ssl_options.fail_if_no_peer_cert = {truth(profile.require_certificate)}",
        f"ssl_options.depth = {_DEPTH}",
        *(f"ssl_options.versions.{n} = {name}" for n, name in enumerate(erlang_versions(profile), start=1)),
        *(f"ssl_options.ciphers.{n} = {suite}" for n, suite in enumerate(all_suites(profile), start=1)),
    ]


def _advanced(profile: ListenerProfile) -> str:
    """Names with a colon as they are; with CRLs, the same once more: a key here replaces that of rabbitmq.conf."""
    if not profile.checks_crls:
        return f"[{_NAMES}].\n"
    versions = ",".join(f"'{name}'" for name in erlang_versions(profile))
    ciphers = ",".join(f'"{suite}"' for suite in all_suites(profile))
    options = [
        f'{{cacertfile,"{profile.path(CLIENT_CA_FILE)}"}}',
        f'{{certfile,"{profile.path(SERVER_CERTIFICATE_FILE)}"}}',
        f'{{keyfile,"{profile.path(SERVER_KEY_FILE)}"}}',
        f"{{verify,{_verify(profile)}}}",
        f"{{fail_if_no_peer_cert,{truth(profile.require_certificate)}}}",
        f"{{depth,{_DEPTH}}}",
        f"{{versions,[{versions}]}}",
        *([f"{{ciphers,[{ciphers}]}}"] if ciphers else []),
        "{crl_check,peer}",
        f'{{crl_cache,{{ssl_crl_hash_dir,{{internal,[{{dir,"{profile.path("crls")}"}}]}}}}}}',
    ]
    return f"[{_NAMES},\n {{rabbit,[{{ssl_options,[\n  " + ",\n  ".join(options) + "\n]}]}].\n"


def _warnings(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    for listener in site.of(Transport.WSS):
        yield left_out(
            listener,
            "require_certificate",
            "what RabbitMQ's web listener asks of clients can not be said in rabbitmq.conf.",
            "Let devices connect by mqtts.",
        )
    yield _MANAGEMENT
    yield from _on_names(profile)
    yield from not_had(
        "check_crl",
        f"RabbitMQ reads CRLs from {profile.path('crls')}, each as <openssl crl -hash>.r0; one that is missing or over "
        "refuses everybody, and Gatehouse does not write there.",
        "Fetch them before they end, and take old files away.",
        asked=profile.checks_crls,
    )
    yield from not_had("check_ocsp", "RabbitMQ asks nobody by OCSP.", "Use check_crl.", asked=profile.check_ocsp)
    yield from not_had(
        "staple_ocsp",
        "RabbitMQ staples no OCSP answer to its own certificate.",
        "Say false, and renew its certificate often.",
        asked=profile.staple_ocsp,
    )
    yield from not_had(
        "proxy_protocol",
        "RabbitMQ then expects it at every MQTT listener, and takes it from anybody.",
        "Let nobody but the balancers reach the ports.",
        asked=profile.proxy_protocol,
    )
    yield from not_had(
        "max_packet_size",
        "RabbitMQ limits packets from 3.13 on: it is left out.",
        "Put a newer one there and check the broker, so that its version is known.",
        asked=profile.max_packet_size is not None and not site.is_at_least(*_SIZES_SINCE),
    )
    yield from not_had(
        "max_connections",
        "RabbitMQ counts for each listener by itself, takes some ten more, and lets whoever is too many wait.",
        "Leave room for them, and limit connections at the balancer if it has to be exact.",
        Severity.INFO,
        asked=profile.max_connections is not None,
    )
    yield from no_limits(profile, _NO_LIMITS, "RabbitMQ")


def _on_names(profile: ListenerProfile) -> Iterator[ListenerWarning]:
    yield from not_had(
        "username_from_certificate",
        "A name with a password in CONNECT is believed before the certificate.",
        "Keep accounts with passwords few and long, or reach them by another virtual host.",
        asked=profile.certificate_names,
    )
    yield from not_had(
        "client_id_from_username",
        "RabbitMQ does not tie the client id to the common name.",
        "Let Gatehouse judge names: a session that is taken over is cut off, its messages stay out of reach.",
        asked=profile.client_id_from_username,
    )


def _verify(profile: ListenerProfile) -> str:
    return "verify_peer" if profile.require_certificate else "verify_none"
