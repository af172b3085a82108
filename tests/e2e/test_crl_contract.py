"""CRLs of a running installation over HTTP, as the contract has them."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.e2e.house import Fleet, House
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


def fetch(house: House, leaf: str) -> x509.CertificateRevocationList:
    with urllib.request.urlopen(f"{house.url}/pki/{house.facts['issuer']}/{leaf}", timeout=10) as answer:
        return x509.load_der_x509_crl(answer.read())


def fetch_if_any(house: House, leaf: str) -> x509.CertificateRevocationList | None:
    """None before there is one: the first full CRL has no delta."""
    try:
        return fetch(house, leaf)
    except urllib.error.HTTPError:
        return None


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def reason_in(crl: x509.CertificateRevocationList | None, serial: int) -> str:
    entry = crl.get_revoked_certificate_by_serial_number(serial) if crl else None
    if entry is None:
        return ""
    return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value


def enrolled(fleet: Fleet, name: str) -> tuple[str, int]:
    """The id and the serial number of a new device's certificate."""
    answer = fleet.enroll(name).answer
    serial = x509.load_pem_x509_certificate(answer["certificate"].encode()).serial_number
    listed = fleet.application.call("GET", f"certificates/?serial_number={serial:x}").body["results"]
    return listed[0]["id"], serial


def soon(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """How long it took."""
    began = time.monotonic()
    wait_until(condition, seconds=seconds, what=what)
    return time.monotonic() - began


def test_a_release_shows_as_remove_from_crl_within_twelve_seconds(fleet: Fleet, house: House) -> None:
    certificate, serial = enrolled(fleet, "crl-held")
    fleet.post(f"certificates/{certificate}/hold/", {"note": "lost?"}, status=202)
    soon(lambda: reason_in(fetch(house, "crl"), serial) == "certificateHold", 12, "the hold is in the full CRL")
    held = fetch(house, "crl")
    fleet.post(f"certificates/{certificate}/release/", {"note": "found"}, status=202)

    def is_removed() -> bool:
        return reason_in(fetch_if_any(house, "delta.crl"), serial) == "removeFromCRL"

    soon(is_removed, 12, "the delta says removeFromCRL")
    delta = fetch(house, "delta.crl")
    base = delta.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert base.critical
    assert base.value.crl_number <= number_of(held) < number_of(delta)  # 5280 5.2.4: it applies to what listed the hold
    assert reason_in(fetch(house, "crl"), serial) == ""


def test_six_revocations_at_once_raise_the_number_by_at_most_four(fleet: Fleet, house: House) -> None:
    devices = [enrolled(fleet, f"crl-burst-{number}") for number in range(6)]
    time.sleep(3)
    before = number_of(fetch(house, "crl"))
    for certificate, _ in devices:
        fleet.post(f"certificates/{certificate}/revoke/", {"reason": "superseded"}, status=202)

    def all_listed() -> bool:
        crl = fetch(house, "crl")
        return all(reason_in(crl, serial) == "superseded" for _, serial in devices)

    soon(all_listed, 15, "all six are in the full CRL")
    time.sleep(5)
    assert number_of(fetch(house, "crl")) - before <= 4
    assert number_of(fetch(house, "delta.crl")) == number_of(fetch(house, "crl"))


def test_many_are_revoked_by_filter_and_the_operation_ends(fleet: Fleet, house: House) -> None:
    devices = [enrolled(fleet, f"crl-recall-{number}") for number in range(3)]
    wanted: dict[str, Any] = {"subject": "CN=crl-recall-", "reason": "cessationOfOperation"}
    shown = fleet.post("certificates/revoke/", {**wanted, "dry_run": True}, status=200)
    assert shown["count"] == 3
    ordered = fleet.post("certificates/revoke/", {**wanted, "digest": shown["digest"]}, status=202)
    operation = fleet.wait_operation(ordered["operation"], seconds=30)
    assert operation["state"] == "done", operation
    assert [step["detail"] for step in operation["steps"]] == ["3 of 3 certificates revoked"]
    crl = fetch(house, "crl")
    assert {reason_in(crl, serial) for _, serial in devices} == {"cessationOfOperation"}


def test_the_bundle_is_what_openssl_wants(fleet: Fleet, house: House, tmp_path: Path) -> None:
    device = fleet.enroll("crl-bundle")
    with urllib.request.urlopen(f"{house.url}/pki/{house.facts['issuer']}/crls.pem", timeout=10) as answer:
        (tmp_path / "crls.pem").write_bytes(answer.read())
    words = ["openssl", "verify", "-x509_strict", "-crl_check_all", "-CRLfile", str(tmp_path / "crls.pem")]
    words += ["-CAfile", str(device.identity.trust), "-untrusted", str(device.identity.certificate)]
    done = subprocess.run([*words, str(device.identity.certificate)], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("OK"), done.stdout + done.stderr
