"""Listener profiles in the words of each broker: what is written, and what is warned of."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from brokers.core.listeners.cipher_suites import CipherSuite
from brokers.core.listeners.profile import ListenerProfile, Make, TlsVersion
from brokers.core.listeners.renderers import render_listeners
from brokers.core.listeners.rendering import RenderedListeners, Site
from brokers.core.values import Listener, Transport
from kernel.core.findings import Severity

MQTTS = Listener(host="mq.example", port=8883)
WSS = Listener(host="mq.example", port=8084, transport=Transport.WSS)
SITE = Site(listeners=(MQTTS, WSS), ocsp_url="http://gatehouse.example/pki/ocsp/")
NEWEST = {Make.MOSQUITTO: "2.1.2", Make.RABBITMQ: "4.1.0"}
RABBITMQ_SCHEMAS = sorted(Path("/usr/lib/rabbitmq").glob("lib/rabbitmq_server-*/plugins/*/priv/schema/*.schema"))


def profile(make: Make, **changes: object) -> ListenerProfile:
    return replace(ListenerProfile(make=make), **changes)  # type: ignore[arg-type]


def everything(make: Make) -> RenderedListeners:
    """With all that can be said, so that every key is there."""
    asked = profile(
        make,
        cipher_suites=tuple(CipherSuite),
        check_crl=True,
        staple_ocsp=True,
        proxy_protocol=True,
        proxies=("10.1.0.0/24",),
        plain_port=1883,
        max_connections=50_000,
    )
    with_crl = render_listeners(asked, replace(SITE, version=NEWEST.get(make, "")))
    without = render_listeners(replace(asked, check_crl=False), replace(SITE, version=NEWEST.get(make, "")))
    return replace(with_crl, files=(*with_crl.files, *without.files))


def text_of(rendered: RenderedListeners) -> str:
    return "\n".join(file.text for file in rendered.files)


def warned(rendered: RenderedListeners, least: Severity = Severity.INFO) -> set[str]:
    return {each.member for each in rendered.warnings if each.severity.rank <= least.rank}


@pytest.mark.parametrize("make", Make)
def test_safe_profile_is_warned_of_nothing_critical_but_what_the_broker_can_not(make: Make) -> None:
    rendered = render_listeners(profile(make), replace(SITE, listeners=(MQTTS,)))

    assert not warned(rendered, Severity.CRITICAL)
    assert all(each.what and each.remedy for each in rendered.warnings)
    assert "8883" in text_of(rendered)


@pytest.mark.parametrize("make", Make)
@pytest.mark.parametrize(
    ("change", "severity"),
    [
        ({"allow_anonymous": True}, Severity.CRITICAL),
        ({"require_certificate": False}, Severity.CRITICAL),
        ({"username_from_certificate": False}, Severity.CRITICAL),
        ({"plain_port": 1883}, Severity.CRITICAL),
        ({"minimum_tls": TlsVersion.V1_1}, Severity.ERROR),
        ({"minimum_tls": TlsVersion.V1_0}, Severity.ERROR),
        ({"check_crl": False}, Severity.ERROR),
        ({"proxy_protocol": True}, Severity.ERROR),
        ({"client_id_from_username": False}, Severity.WARNING),
        ({"cipher_suites": (CipherSuite.RSA_AES128_GCM,)}, Severity.WARNING),
        ({"cipher_suites": (CipherSuite.ECDHE_RSA_AES128_CBC,)}, Severity.WARNING),
    ],
)
def test_unsafe_choice_is_warned_of_on_every_make(make: Make, change: dict[str, object], severity: Severity) -> None:
    rendered = render_listeners(profile(make, **change), replace(SITE, listeners=(MQTTS,)))

    assert next(iter(change)) in warned(rendered, severity)
    ranks = [each.severity.rank for each in rendered.warnings]
    assert ranks == sorted(ranks)


def test_limits_that_a_broker_does_not_have_are_told_only_when_asked_for() -> None:
    asked = render_listeners(profile(Make.MOSQUITTO), SITE)
    silent = render_listeners(profile(Make.MOSQUITTO, messages_per_second=None), SITE)

    assert "messages_per_second" in warned(asked)
    assert "messages_per_second" not in warned(silent)


@pytest.mark.parametrize("make", [Make.MOSQUITTO, Make.RABBITMQ, Make.EMQX, Make.NANOMQ])
def test_websocket_that_would_let_revoked_or_nameless_clients_in_is_left_out(make: Make) -> None:
    rendered = render_listeners(profile(make), SITE)

    assert "8084" not in text_of(rendered)
    assert any("wss://mq.example:8084 is left out" in each.what for each in rendered.warnings)


@pytest.mark.parametrize("make", [Make.MOSQUITTO, Make.EMQX])
def test_websocket_is_there_if_no_crl_is_asked_for(make: Make) -> None:
    assert "8084" in text_of(render_listeners(profile(make, check_crl=False), SITE))


def test_mosquitto_is_not_told_of_the_proxy_protocol_with_which_2_1_takes_no_certificate_of_its_own() -> None:
    """Its manual: certfile and keyfile can not be used with enable_proxy_protocol, and the header says who it is."""
    asked = profile(Make.MOSQUITTO, proxy_protocol=True, proxies=("10.1.0.0/24",))

    for version in ("", "unknown", "2.0.11", "2.0.20-1.2", "2.1.0", "2.1.2"):
        rendered = render_listeners(asked, replace(SITE, version=version))
        assert "proxy" not in text_of(rendered)
        assert "proxy_protocol" in warned(rendered, Severity.WARNING)


def test_mosquitto_takes_names_only_from_certificates_that_it_asks_for() -> None:
    open_ = text_of(render_listeners(profile(Make.MOSQUITTO, require_certificate=False), SITE))

    assert "use_identity_as_username" not in open_
    assert "crlfile" not in open_
    assert "require_certificate false" in open_


def test_rabbitmq_is_told_of_sizes_only_where_it_knows_them() -> None:
    old, new = (
        text_of(render_listeners(profile(Make.RABBITMQ), replace(SITE, version=version)))
        for version in ("3.12.1", "3.13.0")
    )

    assert "max_packet_size" not in old
    assert "mqtt.max_packet_size_authenticated = 262144\n" in new


def test_rabbitmq_limits_connections_and_says_how() -> None:
    asked = render_listeners(profile(Make.RABBITMQ, max_connections=5_000), SITE)

    assert "connection_max = 5000\n" in text_of(asked)
    assert "connection_max" not in text_of(render_listeners(profile(Make.RABBITMQ), SITE))
    [told] = [each for each in asked.warnings if each.member == "max_connections"]
    assert (told.severity, "takes some ten more" in told.what) == (Severity.INFO, True)


def test_rabbitmq_has_the_whole_of_its_tls_options_beside_the_crls() -> None:
    files = {file.name: file.text for file in render_listeners(profile(Make.RABBITMQ), SITE).files}

    assert set(files) == {"rabbitmq.conf", "advanced.config"}
    assert "{ignore_colons_in_username,true}" in files["advanced.config"]
    for word in ("verify,verify_peer", "fail_if_no_peer_cert,true", "crl_check,peer", "'tlsv1.3','tlsv1.2'"):
        assert word in files["advanced.config"]
    assert not re.search(r"tlsv1(\.1)?['\s]", text_of(render_listeners(profile(Make.RABBITMQ), SITE)))


def test_rabbitmq_opens_nothing_without_tls_but_for_its_own_machine() -> None:
    [conf, advanced] = render_listeners(profile(Make.RABBITMQ, check_crl=False, check_ocsp=False), SITE).files

    assert advanced.text == "[{rabbitmq_mqtt,[{ignore_colons_in_username,true}]}].\n"
    for name in ("", "stomp.", "mqtt.", "stream."):
        assert f"\n{name}listeners.tcp = none\n" in conf.text
    for name in ("management", "web_mqtt", "web_stomp", "prometheus"):
        assert f"\n{name}.tcp.ip = 127.0.0.1\n" in conf.text


def test_emqx_lets_only_the_balancers_speak_for_others() -> None:
    rendered = render_listeners(profile(Make.EMQX, proxy_protocol=True, proxies=("10.1.0.0/24",)), SITE)

    assert 'access_rules = ["allow 10.1.0.0/24", "deny all"]' in text_of(rendered)


def test_hivemq_reads_passwords_from_its_environment_in_the_broker_s_own_spelling() -> None:
    """With `${ENV:…}`, which only extensions know, the community edition reads nothing of the file."""
    text = text_of(everything(Make.HIVEMQ))

    assert set(re.findall(r"\$\{[^}]*\}", text)) == {
        "${GATEHOUSE_KEYSTORE_PASSWORD}",
        "${GATEHOUSE_TRUSTSTORE_PASSWORD}",
    }


def test_vernemq_takes_one_version_and_says_so() -> None:
    rendered = render_listeners(profile(Make.VERNEMQ, minimum_tls=TlsVersion.V1_3), SITE)

    assert "listener.ssl.gatehouse1.tls_version = tlsv1.3\n" in text_of(rendered)
    assert "listener.ssl.gatehouse1.allowed_protocol_versions = 3,4,5\n" in text_of(rendered), (
        "MQTT 5 is off as it comes"
    )
    assert "minimum_tls" in warned(rendered)


def test_vernemq_is_told_of_the_suites_of_1_2_only_where_it_speaks_that() -> None:
    def text(least: TlsVersion) -> str:
        asked = profile(Make.VERNEMQ, minimum_tls=least, cipher_suites=(CipherSuite.ECDHE_RSA_AES128_GCM,))
        return text_of(render_listeners(asked, SITE))

    assert "ciphers = ECDHE-RSA-AES128-GCM-SHA256\n" in text(TlsVersion.V1_2)
    assert "ciphers" not in text(TlsVersion.V1_3)


@pytest.mark.parametrize("make", [Make.VERNEMQ, Make.NATS])
def test_path_of_websockets_that_can_not_be_said_is_warned_of(make: Make) -> None:
    elsewhere = profile(make, websocket_path="/ws")

    assert "websocket_path" in warned(render_listeners(elsewhere, SITE), Severity.WARNING)
    assert "websocket_path" not in warned(render_listeners(elsewhere, replace(SITE, listeners=(MQTTS,))))
    assert "websocket_path" not in warned(render_listeners(profile(make), SITE))


def test_nanomq_opens_nothing_beside_but_for_its_own_machine() -> None:
    """What it opens unless told where: up to 0.20 TCP, up to 0.21 WebSocket, and newer ones WebSocket with TLS."""

    def binds(*listeners: Listener, plain_port: int | None = None) -> list[tuple[str, str]]:
        text = text_of(render_listeners(profile(Make.NANOMQ, plain_port=plain_port), Site(listeners=listeners)))
        return re.findall(r'^listeners\.(\S+) \{\n  bind = "(\S+)"$', text, re.MULTILINE)

    ws, wss = ("ws", "127.0.0.1:8083/mqtt"), ("wss", "127.0.0.1:8084/mqtt")
    assert binds(MQTTS) == [("ssl", "0.0.0.0:8883"), ("tcp", "127.0.0.1:1883"), ws, wss]
    assert binds(MQTTS, plain_port=1884) == [("ssl", "0.0.0.0:8883"), ("tcp", "0.0.0.0:1884"), ws, wss]
    beside = binds(Listener(host="mq.example", port=8083), plain_port=8084)
    assert beside[2:] == [("ws", "127.0.0.1:8085/mqtt"), ("wss", "127.0.0.1:8086/mqtt")]


def test_broker_without_ocsp_is_told_that_crls_are_needed_all_the_same() -> None:
    for make in Make:
        assert "check_crl" in warned(
            render_listeners(profile(make, check_crl=False, check_ocsp=True), SITE), Severity.ERROR
        )


@pytest.mark.parametrize(
    ("make", "changes", "told"),
    [
        (Make.MOSQUITTO, {}, "can not be read after SIGHUP lets revoked ones in"),
        (Make.MOSQUITTO, {}, "Before 2.0.12 a client of MQTT 3.1.1 may be silent"),
        (Make.RABBITMQ, {}, "A name with a password in CONNECT is believed before the certificate"),
        (Make.RABBITMQ, {}, "one that is missing or over refuses everybody"),
        (Make.RABBITMQ, {}, "account guest, whose password everybody knows"),
        (Make.RABBITMQ, {}, "RabbitMQ does not tie the client id to the common name"),
        (Make.RABBITMQ, {"proxy_protocol": True}, "takes it from anybody"),
        (Make.EMQX, {}, "before 6.0.3 in PEM alone, before 6.2 by http alone"),
        (Make.EMQX, {}, "as long as its authentication chain is empty"),
        (Make.EMQX, {}, "Some versions of 5.8 stood still at a listener with a limit"),
        (Make.EMQX, {}, "let in admin with the password public"),
        (Make.EMQX, {"client_id_from_username": False}, "can lock a device out"),
        (Make.HIVEMQ, {}, "lets in admin with the password hivemq"),
        (Make.HIVEMQ, {}, "the community edition reads nothing of this file, and listens nowhere"),
        (Make.HIVEMQ, {}, "hivemq-allow-all-extension lets everybody in"),
        (Make.HIVEMQ, {"proxy_protocol": True}, "takes the PROXY protocol from anybody"),
        (Make.VERNEMQ, {}, "looks neither at the issuer nor at the time"),
        (Make.VERNEMQ, {}, "answers anybody at port 8888"),
        (Make.VERNEMQ, {"allow_anonymous": True}, "VerneMQ asks no plugin at all"),
        (Make.NANOMQ, {}, "takes no name from a certificate"),
        (Make.NANOMQ, {}, "lets in admin with the password public"),
        (Make.NANOMQ, {}, "many releases listen without TLS at 1883 and 8083"),
        (Make.NANOMQ, {}, "looks at no CRL and asks no OCSP"),
    ],
)
def test_what_a_make_does_unasked_is_told(make: Make, changes: dict[str, object], told: str) -> None:
    rendered = render_listeners(profile(make, **changes), replace(SITE, listeners=(MQTTS,)))

    assert any(told in each.what for each in rendered.warnings)


def test_mosquitto_that_would_not_start_with_websockets_alone_is_told() -> None:
    def is_told(**changes: object) -> bool:
        site = replace(SITE, listeners=(WSS,), version=str(changes.pop("version", "2.0.11")))
        rendered = render_listeners(profile(Make.MOSQUITTO, check_crl=False, **changes), site)
        return any("WebSocket alone" in each.what for each in rendered.warnings)

    assert is_told()
    assert is_told(version="")
    assert not is_told(version="2.1.0")
    assert not is_told(plain_port=1883)


def test_second_listener_of_a_kind_is_not_forgotten() -> None:
    two = replace(SITE, listeners=(MQTTS, Listener(host="mq.example", port=8885)))

    for make in Make:
        rendered = render_listeners(profile(make), two)
        assert "8885" in text_of(rendered) or any("8885 is left out" in each.what for each in rendered.warnings)


def test_nothing_rendered_holds_a_key_or_password() -> None:
    for make in Make:
        assert not re.search(r"BEGIN|password\s*[=:>]\s*[^$<]", text_of(everything(make)), re.IGNORECASE)


# Every key that is written is one that the broker has: a misspelt one is either fatal or silently without effect.


def test_every_key_of_rabbitmq_is_in_its_schema() -> None:
    if not RABBITMQ_SCHEMAS:
        pytest.skip("rabbitmq-server is not installed")
    schema = "\n".join(path.read_text() for path in RABBITMQ_SCHEMAS)
    known = {re.sub(r"\$\w+", "*", name) for name in re.findall(r'\{mapping,\s*"([^"]+)"', schema)}
    since_3_13 = {"mqtt.max_packet_size_authenticated", "mqtt.max_packet_size_unauthenticated"}
    text = "\n".join(file.text for file in everything(Make.RABBITMQ).files if file.name == "rabbitmq.conf")

    written = {re.sub(r"\.\d+$", ".*", line.split(" = ")[0]) for line in text.splitlines() if " = " in line}

    assert written - known == since_3_13
    assert "mqtt.listeners.ssl.*" in written


def test_every_key_of_vernemq_is_in_its_schema_or_documentation() -> None:
    listener = {
        "cafile", "certfile", "keyfile", "depth", "tls_version", "ciphers", "require_certificate",
        "use_identity_as_username", "crlfile", "allowed_protocol_versions",
    }  # fmt: skip
    known = {
        "allow_anonymous", "max_client_id_size", "topic_max_depth", "max_message_size", "max_message_rate",
        "mqtt_connect_timeout", "listener.max_connections", "listener.tcp.*", "listener.ssl.*", "listener.wss.*",
        *(f"listener.{kind}.*.{member}" for kind in ("ssl", "wss") for member in listener),
    }  # fmt: skip

    written = {
        re.sub(r"\.gatehouse\d*", ".*", line.split(" = ")[0]) for line in text_of(everything(Make.VERNEMQ)).splitlines()
    }

    assert written - {""} <= known


def test_every_key_of_emqx_is_in_its_documentation() -> None:
    known = {
        "listeners.ssl.default", "listeners.wss.default", "listeners.tcp.default.bind",
        "listeners.tcp.default.enable", "listeners.ws.default.enable", "listeners.wss.default.enable", "bind",
        "websocket.mqtt_path", "max_connections", "max_conn_rate", "messages_rate", "proxy_protocol", "access_rules",
        "ssl_options", "cacertfile", "certfile", "keyfile", "verify", "fail_if_no_peer_cert", "versions", "ciphers",
        "enable_crl_check", "ocsp", "enable_ocsp_stapling", "responder_url", "issuer_pem", "mqtt",
        "peer_cert_as_username", "peer_cert_as_clientid", "max_clientid_len", "max_topic_levels", "max_packet_size",
        "idle_timeout",
    }  # fmt: skip

    assert set(re.findall(r"([A-Za-z_.]+) (?:=|\{)", text_of(everything(Make.EMQX)))) <= known


def test_every_key_of_nanomq_is_in_its_examples() -> None:
    known = {
        "listeners.ssl", "listeners.tcp", "listeners.ws", "listeners.wss", "bind", "keyfile", "certfile", "cacertfile",
        "verify_peer", "fail_if_no_peer_cert", "mqtt", "max_packet_size", "auth", "allow_anonymous", "no_match",
    }  # fmt: skip

    assert set(re.findall(r"([A-Za-z_.]+) (?:=|\{)", text_of(everything(Make.NANOMQ)))) <= known


def test_every_element_of_hivemq_is_in_its_schema_or_documentation() -> None:
    enterprise = {"proxy-protocol", "connect-overload-protection", "connect-rate"}
    known = {
        "hivemq", "listeners", "tcp-listener", "tls-tcp-listener", "tls-websocket-listener", "port", "bind-address",
        "name", "path", "tls", "keystore", "truststore", "password", "private-key-password",
        "client-authentication-mode", "protocols", "protocol", "cipher-suites", "cipher-suite", "mqtt", "keep-alive",
        "max-keep-alive", "allow-unlimited", "packets", "max-packet-size", "restrictions", "max-connections",
        "max-client-id-length", "max-topic-length", "no-connect-idle-timeout", "security", "allow-empty-client-id",
        "enabled",
    }  # fmt: skip
    files = everything(Make.HIVEMQ).files

    for file in files:
        assert {element.tag for element in ET.fromstring(file.text).iter()} <= known | enterprise
