"""A listener profile as EMQX's configuration (base.hocon): 5.8 and newer, by documentation."""

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
from brokers.core.values import Listener, Transport
from kernel.core.findings import Severity

ISSUER_FILE = "issuer.pem"
_KINDS = {Transport.MQTTS: "ssl", Transport.WSS: "wss"}
_DASHBOARD = ListenerWarning(
    member="plain_port",
    severity=Severity.WARNING,
    what="EMQX's dashboard and API answer at port 18083, and let in admin with the password public until it is "
    "changed.",
    remedy="Change it (emqx ctl admins passwd admin <new>), and let no device reach the port.",
)


def render_emqx(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The text; the listeners that EMQX has by itself are switched off unless they are ours."""
    taken = site.of(Transport.MQTTS) if profile.checks_crls else list(site.listeners)
    lines: list[str] = []
    for kind in ("ssl", "wss"):
        ours = [listener for listener in taken if _KINDS[listener.transport] == kind]
        for number, listener in enumerate(ours):
            lines += _listener(profile, site, listener, name="default" if number == 0 else f"gatehouse_{number + 1}")
        if not ours:
            lines.append(f"listeners.{kind}.default.enable = false")
    if profile.plain_port is None:
        lines.append("listeners.tcp.default.enable = false")
    else:
        lines.append(f'listeners.tcp.default.bind = "0.0.0.0:{profile.plain_port}"')
    lines += ["listeners.ws.default.enable = false", *_mqtt(profile)]
    return RenderedListeners(
        files=(RenderedFile(name="base.hocon", text="\n".join(lines) + "\n"),), warnings=tuple(_warnings(profile, site))
    )


def _listener(profile: ListenerProfile, site: Site, listener: Listener, *, name: str) -> list[str]:
    secure = listener.transport is Transport.MQTTS
    inner = [f'bind = "0.0.0.0:{listener.port}"']
    if not secure:
        inner.append(f'websocket.mqtt_path = "{profile.websocket_path}"')
    if profile.max_connections is not None:
        inner.append(f"max_connections = {profile.max_connections}")
    if profile.connections_per_second is not None:
        inner.append(f'max_conn_rate = "{profile.connections_per_second}/s"')
    if profile.messages_per_second is not None:
        inner.append(f'messages_rate = "{profile.messages_per_second}/s"')
    if profile.proxy_protocol:
        inner.append("proxy_protocol = true")
        if profile.proxies:
            rules = ", ".join(f'"allow {network}"' for network in profile.proxies)
            inner.append(f'access_rules = [{rules}, "deny all"]')
    options = _tls(profile)
    if secure and profile.checks_crls:
        options.append("enable_crl_check = true")
    if secure and profile.staple_ocsp and site.ocsp_url:
        options.append(
            f'ocsp {{ enable_ocsp_stapling = true, responder_url = "{site.ocsp_url}", '
            f'issuer_pem = "{profile.path(ISSUER_FILE)}" }}'
        )
    inner += ["ssl_options {", *(f"  {line}" for line in options), "}"]
    return [f"listeners.{_KINDS[listener.transport]}.{name} {{", *(f"  {line}" for line in inner), "}"]


def _tls(profile: ListenerProfile) -> list[str]:
    versions = ", ".join(f'"{name}"' for name in erlang_versions(profile))
    ciphers = ", ".join(f'"{suite}"' for suite in all_suites(profile))
    return [
        f'cacertfile = "{profile.path(CLIENT_CA_FILE)}"',
        f'certfile = "{profile.path(SERVER_CERTIFICATE_FILE)}"',
        f'keyfile = "{profile.path(SERVER_KEY_FILE)}"',
        f"verify = {'verify_peer' if profile.require_certificate else 'verify_none'}",
        f"fail_if_no_peer_cert = {truth(profile.require_certificate)}",
        f"versions = [{versions}]",
        *([f"ciphers = [{ciphers}]"] if ciphers else []),
    ]


def _mqtt(profile: ListenerProfile) -> list[str]:
    names, waiting = profile.certificate_names, profile.connect_timeout_seconds
    members: list[tuple[str, str | int | None]] = [
        ("peer_cert_as_username", "cn" if names else "disabled"),
        ("peer_cert_as_clientid", "cn" if names and profile.client_id_from_username else "disabled"),
        ("max_clientid_len", profile.max_client_id_length),
        ("max_topic_levels", profile.max_topic_levels),
        ("max_packet_size", f"{profile.max_packet_size // 1_024}KB" if profile.max_packet_size is not None else None),
        (
            "idle_timeout",
            f"{waiting}s" if waiting is not None else None,
        ),
    ]
    return ["mqtt {", *(f"  {name} = {value}" for name, value in members if value is not None), "}"]


def _warnings(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    yield _DASHBOARD
    yield from not_had(
        "client_id_from_username",
        "EMQX bans a client id that comes and goes often (flapping_detect), whoever it was: anybody who may choose "
        "client ids can lock a device out.",
        "Say true, or leave flapping_detect off.",
        asked=not (profile.certificate_names and profile.client_id_from_username),
    )
    if profile.checks_crls:
        yield from _on_crls(site)
    yield from not_had(
        "check_ocsp", "EMQX asks nobody by OCSP about certificates of clients.", "Use check_crl.",
        asked=profile.check_ocsp,
    )  # fmt: skip
    yield from _on_stapling(profile, site)
    yield from not_had(
        "allow_anonymous",
        "EMQX lets everybody in as long as its authentication chain is empty: nothing here says so.",
        "Give it an authenticator; only with certificates required is an empty chain safe.",
        Severity.INFO if profile.certificate_names and profile.plain_port is None else Severity.CRITICAL,
        asked=not profile.allow_anonymous,
    )
    yield from not_had(
        "connections_per_second",
        "Some versions of 5.8 stood still at a listener with a limit of connections in a second.",
        "Try it before you rely on it.",
        Severity.INFO,
        asked=profile.connections_per_second is not None,
    )
    yield from no_limits(profile, ("max_topic_length", "max_keep_alive_seconds"), "EMQX")


def _on_crls(site: Site) -> Iterator[ListenerWarning]:
    yield ListenerWarning(
        member="check_crl",
        severity=Severity.WARNING,
        what="EMQX fetches CRLs from where certificates say: before 6.0.3 in PEM alone, before 6.2 by http alone; "
        "one that can not be had refuses everybody.",
        remedy="Let certificates name /pki/<issuer>/crl.pem if it is older, and look that EMQX reaches it.",
    )
    for listener in site.of(Transport.WSS):
        remedy = "Take the listener away from the broker, or say check_crl false and know what you do."
        yield left_out(listener, "check_crl", "over WebSocket EMQX does not look at CRLs.", remedy)


def _on_stapling(profile: ListenerProfile, site: Site) -> Iterator[ListenerWarning]:
    if not profile.staple_ocsp:
        return
    yield from not_had(
        "staple_ocsp",
        f"EMQX needs the certificate of the CA that signed its own in {profile.path(ISSUER_FILE)}.",
        "It is the second certificate of server.pem.",
        Severity.INFO,
        asked=bool(site.ocsp_url),
    )
    yield from not_had(
        "staple_ocsp",
        "Gatehouse issued no certificate to this broker, so nobody knows where to ask: stapling is left out.",
        "Send a request for its certificate.",
        asked=not site.ocsp_url,
    )
    yield from not_had(
        "staple_ocsp",
        "EMQX staples nothing over WebSocket.",
        "Let devices that need it connect by mqtts.",
        asked=bool(site.of(Transport.WSS)),
    )
