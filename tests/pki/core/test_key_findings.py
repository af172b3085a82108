"""What is found in keys, unstored requests and the address that certificates name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kernel.core.findings import Severity
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from pki.core.finding_codes import CODES
from pki.core.key_findings import Probe, WeakCertificate, find_in_address, find_unstored, find_weak_keys
from pki.core.weakness import Weakness
from tests.cast import NORTH, NOW, SOUTH


def weak(number: int, *, domain: DomainId = NORTH, weakness: str = "shared-factor:aa") -> WeakCertificate:
    return WeakCertificate(
        subject=Subject(kind="pki.certificate", id=f"c{number}", label=f"0{number}"),
        domain=domain,
        holder=f"device:{number}",
        weakness=weakness,
        not_before=NOW,
    )


def test_both_holders_of_a_shared_factor_are_named() -> None:
    first, second, other = find_weak_keys([weak(1), weak(2), weak(3, weakness="roca")])
    assert (first.code, second.code, other.code) == ("key-shared-factor", "key-shared-factor", "key-weak")
    assert "device:1" in first.detail
    assert "device:2" in first.detail
    assert "device:1" in second.detail
    assert "device:3" not in first.detail
    assert {first.severity, other.severity} == {Severity.CRITICAL}


def test_holder_in_another_domain_is_not_named() -> None:
    mine, theirs = find_weak_keys([weak(1), weak(2, domain=SOUTH)])
    assert "device:2" not in mine.detail
    assert "a key of another domain" in mine.detail
    assert (mine.domain, theirs.domain) == (NORTH, SOUTH)


def test_partner_that_is_gone_is_told_as_such() -> None:
    [finding] = find_weak_keys([weak(1)])
    assert "in use no longer" in finding.detail


@pytest.mark.parametrize(("code", "group"), [("roca", ""), ("shared-factor", "00ff")])
def test_weakness_reads_back(code: str, group: str) -> None:
    weakness = Weakness(code=code, group=group)
    assert Weakness.parse(str(weakness)) == weakness
    assert len(str(weakness)) <= 64


def test_unstored_requests_are_counted() -> None:
    finding = find_unstored(domain=NORTH, count=2, oldest=NOW)
    assert finding.detail.startswith("2 certificates were")
    assert finding.since == NOW
    assert find_unstored(domain=NORTH, count=1, oldest=NOW).detail.startswith("1 certificate was")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://pki.example.com", []),
        ("https://gatehouse.example.com", ["pki-url-needs-tls"]),
        ("http://127.0.0.1:8000", ["pki-url-is-local"]),
        ("http://localhost:8000", ["pki-url-is-local"]),
        ("http://[::1]:8000", ["pki-url-is-local"]),
        ("http://192.0.2.7", []),
    ],
)
def test_address_that_relying_parties_can_not_use(url: str, expected: list[str]) -> None:
    assert [finding.code for finding in find_in_address(url=url, probe=None, now=NOW)] == expected


def test_address_that_does_not_answer() -> None:
    probe = Probe(url="http://pki.example.com/pki/a/crl", fault="connection refused", since=NOW - timedelta(hours=1))
    [finding] = find_in_address(url="http://pki.example.com", probe=probe, now=NOW)
    assert (finding.code, finding.since) == ("pki-url-does-not-answer", NOW - timedelta(hours=1))
    assert "connection refused" in finding.detail
    well = Probe(url="http://pki.example.com/pki/a/crl", fault="", since=NOW)
    assert not list(find_in_address(url="http://pki.example.com", probe=well, now=NOW))
    starting = Probe(url=probe.url, fault=probe.fault, since=NOW - timedelta(seconds=119))
    assert not list(find_in_address(url="http://pki.example.com", probe=starting, now=NOW))


def test_codes_are_kebab_case_and_short() -> None:
    for code in CODES:
        assert code == code.lower()
        assert " " not in code
        assert len(code) <= 32
