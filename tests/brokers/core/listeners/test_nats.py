"""A listener profile in the words of NATS: what is written, what is warned of, and what a real server makes of it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from brokers.core.listeners.cipher_suites import CipherSuite
from brokers.core.listeners.profile import ListenerProfile, Make
from brokers.core.listeners.renderers import render_listeners
from brokers.core.listeners.rendering import RenderedListeners, Site
from brokers.core.values import Listener, Transport
from kernel.core.findings import Severity
from tests.brokers.nats.server import PROGRAM

MQTTS = Listener(host="mq.example", port=8883)
WSS = Listener(host="mq.example", port=8084, transport=Transport.WSS)
SITE = Site(listeners=(MQTTS, WSS))
OCSP = """\
ocsp_peer {
  verify: true
  ca_timeout: 2
  allowed_clockskew: 30
  warn_only: false
  unknown_is_good: false
  allow_when_ca_unreachable: false
  cache_ttl_when_next_update_unset: 3600
}
"""


def rendered(site: Site = SITE, **changes: object) -> RenderedListeners:
    return render_listeners(replace(ListenerProfile(make=Make.NATS), **changes), site)  # type: ignore[arg-type]


def text_of(found: RenderedListeners) -> str:
    [file] = found.files
    return file.text


def blocks(text: str) -> dict[str, str]:
    """The blocks of the outermost level by name, without the margin of their lines."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line == "}":
            name = ""
        elif name:
            found[name] += line.strip() + "\n"
        elif line.endswith(" {"):
            name = line.removesuffix(" {")
            found[name] = ""
    return found


def warned(found: RenderedListeners, member: str, least: Severity = Severity.INFO) -> list[str]:
    return [each.what for each in found.warnings if each.member == member and each.severity.rank <= least.rank]


def test_no_more_is_said_than_the_server_starts_with() -> None:
    """67108864 is what nats-server 2.15.1 starts with; of more it says that it can not be higher than max_pending."""
    assert "max_payload: 67108864\n" in text_of(rendered(max_packet_size=268_435_455))


def test_websocket_alone_takes_no_mqtt_and_is_told_of() -> None:
    """2.15 answers 404 at /mqtt as long as it has no block mqtt."""
    assert warned(rendered(replace(SITE, listeners=(WSS,))), "make", Severity.ERROR)
    assert not warned(rendered(), "make")
    assert not warned(rendered(replace(SITE, listeners=(MQTTS,))), "make")


def test_how_many_connect_in_a_second_is_not_said_since_2_15_does_not_count_mqtt() -> None:
    """With `connection_rate_limit: 1` in the TLS block of MQTT it took fifteen connections at once."""
    asked = rendered(connections_per_second=5)

    assert "connection_rate_limit" not in text_of(asked)
    assert warned(asked, "connections_per_second", Severity.WARNING)
    assert not warned(rendered(connections_per_second=None), "connections_per_second")


def test_server_that_asks_nobody_has_to_map_certificates_itself() -> None:
    asking, alone = rendered(replace(SITE, asks=True)), rendered()

    assert "\n    verify: true\n" in text_of(asking)
    assert not warned(asking, "check_crl", Severity.WARNING)
    assert "\n    verify_and_map: true\n" in text_of(alone)
    assert warned(alone, "check_crl", Severity.ERROR)
    assert warned(alone, "client_id_from_username", Severity.WARNING)


def test_ocsp_is_asked_for_in_every_block_since_that_of_mqtt_alone_has_no_effect() -> None:
    flat = "".join(line.strip() + "\n" for line in OCSP.splitlines())
    for by_certificate in (True, False):
        text = text_of(rendered(check_ocsp=True, username_from_certificate=by_certificate))
        found = blocks(text)
        assert set(found) == {"tls", "mqtt", "websocket"}
        assert all(flat in block for block in found.values())
        assert "\nverify: true\n" in found["tls"]  # or the server does not start
        assert "allow_non_tls: true\n" in text  # or it lets us in no more
        assert text.startswith("ocsp_cache: false\n")  # or it remembers that a certificate was good
    assert not warned(rendered(check_ocsp=True), "check_crl")


def test_ocsp_is_not_asked_for_where_it_could_not_be_or_gatehouse_is_asked() -> None:
    for found in (
        rendered(),
        rendered(check_ocsp=True, require_certificate=False),  # the server would not start
        rendered(replace(SITE, asks=True), check_ocsp=True),
    ):
        assert "ocsp" not in text_of(found)
        assert "allow_non_tls" not in text_of(found)
        assert set(blocks(text_of(found))) == {"mqtt", "websocket"}
        assert warned(found, "check_crl")
        assert not warned(found, "check_ocsp")


def test_what_makes_ocsp_ineffective_is_told() -> None:
    quiet, silent = (rendered(replace(SITE, unasked=names), check_ocsp=True) for names in ((), ("gauge", "pump")))

    assert not warned(quiet, "check_ocsp", Severity.ERROR)
    [told] = warned(silent, "check_ocsp", Severity.ERROR)
    assert "let in unasked" in told
    assert told.endswith("gauge, pump.")
    assert any("allow_non_tls" in each for each in warned(quiet, "check_ocsp", Severity.WARNING))


def test_server_takes_what_is_written_for_it(tmp_path: Path) -> None:
    """It reads it, certificates too, and says which field it does not know: it has none for CRLs."""
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-days", "1")
    files = ("-keyout", str(tmp_path / "server.key"), "-out", str(tmp_path / "server.pem"))
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True, timeout=120)
    (tmp_path / "client-ca.pem").write_text((tmp_path / "server.pem").read_text())

    def refused(text: str) -> str:
        (tmp_path / "nats.conf").write_text('server_name: x\njetstream { store_dir: "/nowhere" }\n' + text)
        words = [str(PROGRAM), "--config", str(tmp_path / "nats.conf"), "-t"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        return done.stderr if done.returncode else ""

    for suites in ((), (*CipherSuite,)):
        site = replace(SITE, asks=not suites)
        asked = rendered(site, folder=str(tmp_path), cipher_suites=suites, check_ocsp=True, max_connections=50_000)
        assert refused(text_of(asked)) == ""
    with_crl = text_of(asked).replace("  verify_and_map", "  crl_file: 'x'\n  verify_and_map", 1)
    assert "crl_file" in refused(with_crl)
