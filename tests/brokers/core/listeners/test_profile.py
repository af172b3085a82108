"""Listener profiles read from documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brokers.core.listeners.cipher_suites import CipherSuite
from brokers.core.listeners.profile import (
    LIMITS,
    MEMBERS,
    InvalidListenerProfile,
    ListenerProfile,
    Make,
    TlsVersion,
    makes_of,
    profile_document,
    read_profile,
)
from brokers.core.values import AdapterKind

DYNSEC = AdapterKind.MOSQUITTO_DYNSEC


def test_what_is_left_out_is_safe() -> None:
    profile = read_profile({}, kind=DYNSEC)

    assert profile == ListenerProfile(make=Make.MOSQUITTO)
    assert profile.minimum_tls is TlsVersion.V1_2
    assert profile.certificate_names
    assert profile.checks_crls
    assert not profile.allow_anonymous
    assert profile.plain_port is None


def test_document_of_a_profile_reads_back_as_the_same() -> None:
    profile = replace(
        ListenerProfile(make=Make.NANOMQ),
        minimum_tls=TlsVersion.V1_3,
        cipher_suites=(CipherSuite.ECDHE_RSA_AES128_GCM,),
        proxies=("10.1.0.0/24", "2001:db8::/64"),
        max_packet_size=None,
        plain_port=1883,
    )

    document = profile_document(profile)

    assert set(document) == set(MEMBERS)
    assert read_profile(document, kind=AdapterKind.HTTP_DECISIONS) == profile


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("folder", "etc/relative"),
        ("folder", "/etc/../root"),
        ("folder", '/etc/a"\nuser root'),
        ("folder", "/" + "a" * 200),
        ("folder", None),
        ("minimum_tls", "1.4"),
        ("minimum_tls", 1.2),
        ("cipher_suites", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("cipher_suites", ["NULL-SHA256"]),
        ("cipher_suites", ["AES128-GCM-SHA256", "AES128-GCM-SHA256"]),
        ("require_certificate", "false"),
        ("require_certificate", None),
        ("check_crl", 1),
        ("proxies", ["10.1.0.7/24"]),
        ("proxies", ["balancer.example"]),
        ("proxies", ['fe80::%"]\nenable_authn = false\nx = ["/128']),
        ("proxies", [7]),
        ("proxies", ["10.0.0.0/8"] * 21),
        ("plain_port", 0),
        ("plain_port", True),
        ("websocket_path", "mqtt"),
        ("websocket_path", "/mqtt\n"),
        ("max_packet_size", 1_023),
        ("max_packet_size", 268_435_456),
        ("max_client_id_length", 22),
        ("max_connections", 1.5),
        ("make", "emqx"),
        ("min_tls", "1.2"),
    ],
)
def test_wrong_member_is_named(member: str, value: object) -> None:
    with pytest.raises(InvalidListenerProfile) as refused:
        read_profile({member: value}, kind=DYNSEC)

    assert [error.pointer for error in refused.value.errors] == [f"/{member}"]


@pytest.mark.parametrize("document", [None, [], "{}", 7])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(InvalidListenerProfile):
        read_profile(document, kind=DYNSEC)


def test_bounds_are_inclusive() -> None:
    for member, (least, greatest) in LIMITS.items():
        for value in (least, greatest, None):
            assert getattr(read_profile({member: value}, kind=DYNSEC), member) == value


def test_every_kind_of_broker_has_a_make() -> None:
    assert all(makes_of(kind) for kind in AdapterKind)
    assert read_profile({"make": "vernemq"}, kind=AdapterKind.HTTP_DECISIONS).make is Make.VERNEMQ
