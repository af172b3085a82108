"""A listener profile as lines of nanomq.conf, by its published examples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from brokers.core.listeners.profile import ListenerProfile
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

_NO_LIMITS = (
    "max_connections", "connections_per_second", "messages_per_second", "max_client_id_length",
    "max_topic_length", "max_topic_levels", "connect_timeout_seconds", "max_keep_alive_seconds",
)  # fmt: skip
_MANAGEMENT = ListenerWarning(
    member="plain_port",
    severity=Severity.WARNING,
    what="NanoMQ comes with an HTTP API at port 8081 that lets in admin with the password public.",
    remedy="Give http_server another password, and let no device reach the port.",
)
_UNASKED = ListenerWarning(
    member="plain_port",
    severity=Severity.INFO,
    what="Where nothing is said of them, many releases listen without TLS at 1883 and 8083, and with it at 8084.",
    remedy="Keep the lines by which only its own machine reaches those.",
)
_LOOPBACK = {"tcp": (1883, ""), "ws": (8083, "/mqtt"), "wss": (8084, "/mqtt")}


def render_nanomq(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The lines; the HTTP authentication that judges names is not among them."""
    lines = []
    for number, listener in enumerate(site.of(Transport.MQTTS), start=1):
        name = "" if number == 1 else f".gatehouse{number}"
        lines += _listener(profile, listener, place=f"listeners.ssl{name}")
    for kind, bind in _others(profile, site):
        lines += [f"listeners.{kind} {{", f'  bind = "{bind}"', "}"]
    if profile.max_packet_size is not None:
        lines += ["mqtt {", f"  max_packet_size = {profile.max_packet_size // 1_024}KB", "}"]
    lines += ["auth {", f"  allow_anonymous = {truth(profile.allow_anonymous)}", "  no_match = deny", "}"]
    return RenderedListeners(
        files=(RenderedFile(name="nanomq.conf", text="\n".join(lines) + "\n"),),
        warnings=tuple(_warnings(profile, site)),
    )


def _others(profile: ListenerProfile, site: Site) -> Iterator[tuple[str, str]]:
    """Where the listeners stand that NanoMQ opens to everybody unless told where: on loopback, beside the others."""
    taken = {listener.port for listener in site.listeners} | {profile.plain_port}
    for kind, (port, path) in _LOOPBACK.items():
        if kind == "tcp" and profile.plain_port is not None:
            yield kind, f"0.0.0.0:{profile.plain_port}"
            continue
        free = next(each for each in count(port) if each not in taken)
        taken.add(free)
        yield kind, f"127.0.0.1:{free}{path}"


def _listener(profile: ListenerProfile, listener: Listener, *, place: str) -> list[str]:
    return [
        f"{place} {{",
        f'  bind = "0.0.0.0:{listener.port}"',
        f'  keyfile = "{profile.path(SERVER_KEY_FILE)}"',
        f'  certfile = "{profile.path(SERVER_CERTIFICATE_FILE)}"',
        f'  cacertfile = "{profile.path(CLIENT_CA_FILE)}"',
        f"  verify_peer = {truth(profile.require_certificate)}",
        f"  fail_if_no_peer_cert = {truth(profile.require_certificate)}",
        "}",
    ]


def _warnings(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    for listener in site.of(Transport.WSS):
        why = "nothing says that NanoMQ asks for certificates over WebSocket."
        yield left_out(listener, "require_certificate", why, "Let devices connect by mqtts.")
    yield from (_MANAGEMENT, _UNASKED)
    yield from not_had(
        "username_from_certificate",
        "NanoMQ takes no name from a certificate: any valid one with another account's password is that account.",
        "Let it ask Gatehouse and hand the common name over (%C); see HTTP decisions.",
        Severity.ERROR,
        asked=profile.username_from_certificate,
    )
    yield from not_had(
        "client_id_from_username",
        "NanoMQ ties the client id to nothing by itself.",
        "Let it ask Gatehouse, which compares them.",
        asked=profile.client_id_from_username,
    )
    yield from not_had(
        "check_crl",
        "NanoMQ looks at no CRL and asks no OCSP: a revoked certificate passes the handshake.",
        "Let it ask Gatehouse at each login, which refuses who is revoked.",
        Severity.ERROR,
        asked=profile.check_crl or profile.check_ocsp,
    )
    for member, what in {
        "staple_ocsp": "NanoMQ staples no OCSP answer.",
        "proxy_protocol": "NanoMQ does not speak the PROXY protocol.",
    }.items():
        yield from not_had(member, what, "Say false.", asked=getattr(profile, member))
    yield from not_had("minimum_tls", "Which versions of TLS NanoMQ takes can not be said.", "Let the probe look.")
    yield from not_had(
        "cipher_suites", "NanoMQ takes no list of suites.", "Say none.", asked=bool(profile.cipher_suites)
    )
    yield from no_limits(profile, _NO_LIMITS, "NanoMQ")
