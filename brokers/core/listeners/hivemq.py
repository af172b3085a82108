"""A listener profile as HiveMQ's config.xml, by its published schema and documentation."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from brokers.core.listeners.profile import ListenerProfile, TlsVersion
from brokers.core.listeners.rendering import (
    SUITES_OF_1_3,
    ListenerWarning,
    RenderedFile,
    RenderedListeners,
    Site,
    no_limits,
    not_had,
)
from brokers.core.values import Listener, Transport
from kernel.core.findings import Severity

KEYSTORE_FILE = "server.p12"
TRUSTSTORE_FILE = "client-ca.p12"
_MODES = {True: "REQUIRED", False: "NONE"}
_STORES = ListenerWarning(
    member="folder",
    severity=Severity.INFO,
    what=f"HiveMQ reads {KEYSTORE_FILE} (key and chain) and {TRUSTSTORE_FILE} (the CAs of clients), PKCS#12, with "
    "passwords from its environment. Where one is not set the community edition reads nothing of this file, and "
    "listens nowhere.",
    remedy="Make them with openssl and keytool, set GATEHOUSE_KEYSTORE_PASSWORD and GATEHOUSE_TRUSTSTORE_PASSWORD, and "
    "look that it did not log: Could not read the configuration file.",
)
_MANAGEMENT = ListenerWarning(
    member="plain_port",
    severity=Severity.WARNING,
    what="HiveMQ's Control Center lets in admin with the password hivemq until it has users of its own, and its REST "
    "API anybody until it is told to ask.",
    remedy="Configure control-center/users and rest-api/auth, and let no device reach their ports.",
)


def render_hivemq(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The file; the passwords of the two stores come from HiveMQ's environment."""
    lines = ['<?xml version="1.0"?>', "<hivemq>", "  <listeners>"]
    if profile.plain_port is not None:
        lines.append(f"    <tcp-listener><port>{profile.plain_port}</port></tcp-listener>")
    for number, listener in enumerate(site.listeners, start=1):
        lines += [f"    {line}" for line in _listener(profile, listener, name=f"gatehouse-{number}")]
    lines += ["  </listeners>", *_mqtt(profile), *_restrictions(profile)]
    lines += ["  <security><allow-empty-client-id><enabled>false</enabled></allow-empty-client-id></security>"]
    text = "\n".join([*lines, "</hivemq>"]) + "\n"
    return RenderedListeners(files=(RenderedFile(name="config.xml", text=text),), warnings=tuple(_warnings(profile)))


def _listener(profile: ListenerProfile, listener: Listener, *, name: str) -> list[str]:
    element = "tls-tcp-listener" if listener.transport is Transport.MQTTS else "tls-websocket-listener"
    inner = [_tag("port", listener.port), _tag("bind-address", "0.0.0.0"), _tag("name", name)]
    if listener.transport is Transport.WSS:
        inner.append(_tag("path", profile.websocket_path))
    if profile.proxy_protocol:
        inner.append(_tag("proxy-protocol", "true"))
    if profile.connections_per_second is not None:
        rate = _tag("connect-rate", profile.connections_per_second)
        inner.append(f"<connect-overload-protection>{rate}</connect-overload-protection>")
    inner += ["<tls>", *(f"  {line}" for line in _tls(profile)), "</tls>"]
    return [f"<{element}>", *(f"  {line}" for line in inner), f"</{element}>"]


def _tls(profile: ListenerProfile) -> list[str]:
    store = "${GATEHOUSE_KEYSTORE_PASSWORD}"  # ENV: is for extensions' files alone
    trust = "${GATEHOUSE_TRUSTSTORE_PASSWORD}"
    versions = [version for version in reversed(TlsVersion) if version >= profile.minimum_tls]
    protocols = "".join(_tag("protocol", "TLSv1" if each is TlsVersion.V1_0 else f"TLSv{each}") for each in versions)
    passwords = _tag("password", store) + _tag("private-key-password", store)
    lines = [
        f"<keystore>{_tag('path', profile.path(KEYSTORE_FILE))}{passwords}</keystore>",
        f"<truststore>{_tag('path', profile.path(TRUSTSTORE_FILE))}{_tag('password', trust)}</truststore>",
        _tag("client-authentication-mode", _MODES[profile.require_certificate]),
        f"<protocols>{protocols}</protocols>",
    ]
    if profile.cipher_suites:
        names = [*SUITES_OF_1_3, *(suite.registered_name for suite in profile.cipher_suites)]
        suites = "".join(_tag("cipher-suite", name) for name in names)
        lines.append(f"<cipher-suites>{suites}</cipher-suites>")
    return lines


def _mqtt(profile: ListenerProfile) -> list[str]:
    lines = []
    if profile.max_keep_alive_seconds is not None:
        longest = _tag("max-keep-alive", profile.max_keep_alive_seconds)
        lines.append(f"    <keep-alive>{longest}{_tag('allow-unlimited', 'false')}</keep-alive>")
    if profile.max_packet_size is not None:
        lines.append(f"    <packets>{_tag('max-packet-size', profile.max_packet_size)}</packets>")
    return ["  <mqtt>", *lines, "  </mqtt>"] if lines else []


def _restrictions(profile: ListenerProfile) -> list[str]:
    waiting = profile.connect_timeout_seconds
    members = {
        "max-connections": profile.max_connections,
        "max-client-id-length": profile.max_client_id_length,
        "max-topic-length": profile.max_topic_length,
        "no-connect-idle-timeout": waiting * 1_000 if waiting is not None else None,
    }
    lines = [f"    {_tag(name, value)}" for name, value in members.items() if value is not None]
    return ["  <restrictions>", *lines, "  </restrictions>"] if lines else []


def _warnings(profile: ListenerProfile) -> Iterator[ListenerWarning]:
    yield from (_STORES, _MANAGEMENT)
    yield from not_had(
        "check_crl",
        "Certificates are looked up in CRLs by the Enterprise Security Extension alone, by elements that its "
        "documentation does not tell: nothing of it is here.",
        "Set it up by the extension's own schema. A device that is revoked is refused by its account meanwhile.",
        Severity.ERROR,
        asked=profile.check_crl or profile.check_ocsp,
    )
    yield from not_had(
        "staple_ocsp",
        "How HiveMQ is told to staple is not in its published schema: it is left out.",
        "Set it up by hand, and let the probe look.",
        asked=profile.staple_ocsp,
    )
    yield from not_had(
        "username_from_certificate",
        "Names come from certificates by the Enterprise Security Extension alone; without it any valid certificate "
        "will do with any name.",
        "Set up its pipeline: certificate-subject CN to authentication key. The community edition can not.",
        Severity.ERROR,
        asked=profile.username_from_certificate,
    )
    yield from not_had(
        "allow_anonymous",
        "Who may log in is said by extensions alone, and the hivemq-allow-all-extension lets everybody in.",
        "Take that one away, and look that the security extension is there and begins with DENY.",
        asked=not profile.allow_anonymous,
    )
    yield from _on_editions(profile)
    yield from no_limits(profile, ("messages_per_second", "max_topic_levels"), "HiveMQ")


def _on_editions(profile: ListenerProfile) -> Iterator[ListenerWarning]:
    what = "The community edition does not know it."
    yield from not_had("proxy_protocol", what, "Say false there.", asked=profile.proxy_protocol)
    yield from not_had(
        "connections_per_second", what, "Say null there.", Severity.INFO,
        asked=profile.connections_per_second is not None,
    )  # fmt: skip
    yield from not_had(
        "proxies",
        "HiveMQ takes the PROXY protocol from anybody who reaches the listener.",
        "Let nobody but the balancers reach the ports.",
        asked=profile.proxy_protocol,
    )
    yield from not_had(
        "client_id_from_username",
        "HiveMQ ties the client id to nothing by this file.",
        "Compare them in the security extension's pipeline.",
        asked=profile.client_id_from_username,
    )


def _tag(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"
