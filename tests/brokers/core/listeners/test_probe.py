"""What is made of what a probe saw, and the octets that it speaks."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.core.listeners.first_connect import anonymous_connect, binary_frame, connack_code, frame_body, is_upgraded
from brokers.core.listeners.probe import (
    Answer,
    Aspect,
    ListenerReport,
    Observation,
    Verdict,
    judge,
    read_report,
    report_document,
    with_what_was_bad,
)
from brokers.core.listeners.profile import ListenerProfile, Make, TlsVersion
from brokers.core.listeners.tls_hello import BrokenFlight, ServerFlight, client_hello, read_flight
from brokers.core.values import Listener

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HERE = Listener(host="mq.example", port=8883)
PROFILE = ListenerProfile(make=Make.EMQX)
VERSIONS = {TlsVersion.V1_0: False, TlsVersion.V1_1: False, TlsVersion.V1_2: True, TlsVersion.V1_3: True}
SAFE = Observation(
    versions=VERSIONS,
    chain_fault="",
    named=True,
    not_after=NOW + timedelta(days=60),
    stapled=False,
    asks_certificate=True,
    answer=Answer.REFUSED_IN_TLS,
)


def verdicts(seen: Observation, profile: ListenerProfile = PROFILE) -> dict[Aspect, Verdict]:
    return {line.aspect: line.verdict for line in judge(HERE, seen, profile=profile, now=NOW).lines}


def test_safe_listener_is_good_in_every_aspect() -> None:
    of_listeners = set(Aspect) - {Aspect.MANAGEMENT, Aspect.DEFAULT_LOGIN, Aspect.KEY_RIGHTS}
    assert verdicts(SAFE) == dict.fromkeys(of_listeners, Verdict.GOOD)


@pytest.mark.parametrize(
    ("change", "aspect", "verdict"),
    [
        ({"versions": VERSIONS | {TlsVersion.V1_1: True}}, Aspect.OLD_TLS, Verdict.BAD),
        ({"versions": dict.fromkeys(TlsVersion, False)}, Aspect.TLS, Verdict.BAD),
        ({"versions": {}}, Aspect.OLD_TLS, Verdict.UNKNOWN),
        ({"versions": {TlsVersion.V1_2: True, TlsVersion.V1_3: True}}, Aspect.OLD_TLS, Verdict.UNKNOWN),
        ({"versions": {TlsVersion.V1_0: False, TlsVersion.V1_2: True}}, Aspect.OLD_TLS, Verdict.UNKNOWN),
        ({"versions": {TlsVersion.V1_0: True, TlsVersion.V1_2: True}}, Aspect.OLD_TLS, Verdict.BAD),
        ({"versions": {}}, Aspect.TLS, Verdict.BAD),
        ({"chain_fault": "certificate has expired"}, Aspect.CHAIN, Verdict.BAD),
        ({"chain_fault": None}, Aspect.CHAIN, Verdict.UNKNOWN),
        ({"named": False}, Aspect.NAME, Verdict.BAD),
        ({"named": None}, Aspect.NAME, Verdict.UNKNOWN),
        ({"not_after": NOW}, Aspect.END, Verdict.BAD),
        ({"not_after": NOW + timedelta(days=13)}, Aspect.END, Verdict.DOUBTFUL),
        ({"not_after": NOW + timedelta(days=14)}, Aspect.END, Verdict.GOOD),
        ({"stapled": None}, Aspect.STAPLE, Verdict.UNKNOWN),
        ({"answer": Answer.ADMITTED}, Aspect.ANONYMOUS, Verdict.BAD),
        ({"answer": Answer.ADMITTED}, Aspect.CERTIFICATE_REQUIRED, Verdict.BAD),
        ({"answer": Answer.REFUSED}, Aspect.CERTIFICATE_REQUIRED, Verdict.BAD),
        ({"answer": Answer.REFUSED}, Aspect.ANONYMOUS, Verdict.GOOD),
        ({"answer": Answer.OTHER}, Aspect.CERTIFICATE_REQUIRED, Verdict.BAD),
        ({"answer": Answer.OTHER}, Aspect.ANONYMOUS, Verdict.UNKNOWN),
        ({"answer": Answer.CLOSED}, Aspect.CERTIFICATE_REQUIRED, Verdict.UNKNOWN),
        ({"answer": Answer.CLOSED}, Aspect.ANONYMOUS, Verdict.UNKNOWN),
        ({"answer": None}, Aspect.ANONYMOUS, Verdict.UNKNOWN),
    ],
)
def test_each_aspect_is_judged_by_itself(change: dict[str, object], aspect: Aspect, verdict: Verdict) -> None:
    assert verdicts(replace(SAFE, **change))[aspect] is verdict  # type: ignore[arg-type]


def test_what_the_profile_asks_for_and_is_not_there_is_bad() -> None:
    asked = replace(PROFILE, staple_ocsp=True, minimum_tls=TlsVersion.V1_3)

    found = verdicts(SAFE, asked)

    assert (found[Aspect.STAPLE], found[Aspect.TLS]) == (Verdict.BAD, Verdict.BAD)
    without = replace(PROFILE, require_certificate=False)
    assert verdicts(replace(SAFE, answer=Answer.REFUSED), without)[Aspect.CERTIFICATE_REQUIRED] is Verdict.DOUBTFUL


def test_of_what_is_not_there_nothing_else_is_said() -> None:
    report = judge(HERE, Observation(fault="No answer came in time.", versions={}), profile=PROFILE, now=NOW)

    assert [(line.aspect, line.verdict) for line in report.lines] == [(Aspect.REACHABLE, Verdict.BAD)]
    assert report.worst() == list(report.lines)


def test_what_was_bad_stays_bad_until_it_is_seen_to_be_mended() -> None:
    def report(**changes: object) -> ListenerReport:
        return judge(HERE, replace(SAFE, **changes), profile=PROFILE, now=NOW)  # type: ignore[arg-type]

    def bad(found: ListenerReport) -> set[Aspect]:
        return {line.aspect for line in found.worst()}

    admission = {Aspect.ANONYMOUS, Aspect.CERTIFICATE_REQUIRED}
    before = report(answer=Answer.ADMITTED)
    assert bad(before) == admission
    busy = with_what_was_bad(report(answer=Answer.CLOSED), before)
    assert [line.aspect for line in busy.lines] == [line.aspect for line in before.lines]
    assert bad(busy) == admission
    away = with_what_was_bad(report(fault="Nobody answers there in TLS."), busy)
    assert bad(away) == {Aspect.REACHABLE, *admission}
    [told] = [line.seen for line in away.lines if line.aspect is Aspect.ANONYMOUS]
    assert told == "It lets in whoever gives neither certificate nor name. It could not be looked at since."
    assert bad(with_what_was_bad(report(answer=Answer.REFUSED), away)) == {Aspect.CERTIFICATE_REQUIRED}
    assert with_what_was_bad(report(), away) == report()


def test_report_reads_back_from_json() -> None:
    report = judge(HERE, SAFE, profile=PROFILE, now=NOW)

    assert read_report(report_document(report)) == report


def test_connect_has_neither_name_nor_password() -> None:
    # fixed header, length 14, "MQTT", level 4, clean session alone, keep-alive 30, client id "ab"
    assert anonymous_connect("ab") == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02ab"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"\x20\x02\x00\x00", 0),
        (b"\x20\x02\x00\x05", 5),
        (b"\x20\x03\x00\x87\x00", 0x87),
        (b"\x20\x02", None),
        (b"HTTP", None),
        (b" so\x00", None),
    ],
)
def test_connack_is_read(octets: bytes, code: int | None) -> None:
    assert connack_code(octets) == code


def test_frames_are_those_of_rfc_6455() -> None:
    # RFC 6455 5.7: "Hello" masked, as binary instead of text
    masked = binary_frame(b"Hello", mask=b"\x37\xfa\x21\x3d")
    assert masked == b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert frame_body(b"\x82\x05Hello") == b"Hello"
    assert frame_body(b"\x81\x05Hello") == b""
    assert is_upgraded(b"HTTP/1.1 101 Switching\r\n\r\n")
    assert not is_upgraded(b"HTTP/1.1 101 Switching\r\n")
    assert not is_upgraded(b"HTTP/1.1 403 Forbidden\r\n\r\n")


def test_hello_offers_the_version_and_nothing_newer() -> None:
    hello = client_hello(2, host="mq.example", random=bytes(32))

    assert hello[:3] == b"\x16\x03\x01"
    assert int.from_bytes(hello[3:5], "big") == len(hello) - 5
    assert hello[5] == 1
    assert int.from_bytes(hello[6:9], "big") == len(hello) - 9
    assert hello[9:11] == b"\x03\x02"
    assert b"mq.example" in hello
    assert b"mq" not in client_hello(3, host="", random=bytes(32))


def test_alert_ends_a_flight_with_no_version() -> None:
    # RFC 5246 7.2: fatal, protocol_version(70)
    assert read_flight(b"\x15\x03\x01\x00\x02\x02\x46") == ServerFlight(whole=True)


@given(octets=st.binary(max_size=300), framed=st.booleans())
def test_whatever_a_server_says_is_read_or_called_broken(octets: bytes, *, framed: bool) -> None:
    sent = b"\x16\x03\x03" + len(octets).to_bytes(2, "big") + octets if framed else octets
    with contextlib.suppress(BrokenFlight):
        read_flight(sent)
