"""CRLs of a running installation over HTTP, as the contract has them."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from cryptography import x509

from tests.e2e.house import Enrolled, Fleet
from tests.servers import wait_until

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Listed:
    """A device's certificate, and where its CRLs are: as it says itself."""

    id: str
    serial: int
    crl_url: str

    def octets(self, leaf: str) -> bytes:
        with urllib.request.urlopen(urljoin(self.crl_url, leaf), timeout=60) as answer:
            octets: bytes = answer.read()
            return octets

    def crl(self, leaf: str = "crl") -> x509.CertificateRevocationList:
        return x509.load_der_x509_crl(self.octets(leaf))

    def reason(self, leaf: str = "crl") -> str:
        """Empty if the certificate is not listed, or there is no such CRL: the first full CRL has no delta."""
        try:
            entry = self.crl(leaf).get_revoked_certificate_by_serial_number(self.serial)
        except urllib.error.HTTPError:
            return ""
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value if entry else ""


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def enrolled(fleet: Fleet, name: str) -> Listed:
    """A new device's certificate."""
    return listed_as(fleet, fleet.enroll(name))


def listed_as(fleet: Fleet, device: Enrolled) -> Listed:
    certificate = x509.load_pem_x509_certificate(device.answer["certificate"].encode())
    [point] = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name
    serial = certificate.serial_number
    listed = fleet.application.call("GET", f"certificates/?serial_number={serial:x}").body["results"]
    return Listed(listed[0]["id"], serial, point.full_name[0].value)


def end_of(fleet: Fleet, ordered: dict[str, Any]) -> str:
    """How the operation of such an answer ended."""
    state: str = fleet.wait_operation(ordered["operation"])["state"]
    return state


def test_a_hold_is_in_the_full_crl(fleet: Fleet) -> None:
    device = enrolled(fleet, "crl-hold-soon")
    ordered = fleet.post(f"certificates/{device.id}/hold/", {"note": "lost?"}, status=202)
    wait_until(lambda: device.reason() == "certificateHold", what="the hold is in the full CRL")
    assert end_of(fleet, ordered) == "done"


def test_a_release_shows_as_remove_from_crl(fleet: Fleet) -> None:
    device = enrolled(fleet, "crl-held")
    ordered = fleet.post(f"certificates/{device.id}/hold/", {"note": "lost?"}, status=202)
    wait_until(lambda: device.reason() == "certificateHold", what="the hold is in the full CRL")
    assert end_of(fleet, ordered) == "done"
    held = device.crl()
    fleet.post(f"certificates/{device.id}/release/", {"note": "found"}, status=202)
    wait_until(lambda: device.reason("delta.crl") == "removeFromCRL", what="the delta says removeFromCRL")
    delta = device.crl("delta.crl")
    base = delta.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert base.critical
    assert base.value.crl_number <= number_of(held) < number_of(delta)  # 5280 5.2.4: it applies to what listed the hold
    assert device.reason() == ""


def revoke(fleet: Fleet, device: Listed) -> None:
    fleet.post(f"certificates/{device.id}/revoke/", {"reason": "superseded"}, status=202)


def test_revocations_at_once_are_gathered_into_few_crls(fleet: Fleet) -> None:
    devices = [enrolled(fleet, f"crl-burst-{number}") for number in range(6)]
    before, began = number_of(devices[0].crl()), time.monotonic()
    with ThreadPoolExecutor(len(devices)) as threads:  # each call is a curl of its own; the bearer is there already
        list(threads.map(lambda each: revoke(fleet, each), devices))
    wait_until(lambda: {device.reason() for device in devices} == {"superseded"}, what="all six are in the full CRL")
    raised = number_of(devices[0].crl()) - before
    assert raised <= 2 + (time.monotonic() - began) / 2  # two seconds lie between two builds
    wait_until(lambda: number_of(devices[0].crl("delta.crl")) == number_of(devices[0].crl()), what="the delta's number")


def test_many_are_revoked_by_filter_and_the_operation_ends(fleet: Fleet) -> None:
    devices = [enrolled(fleet, f"crl-recall-{number}") for number in range(3)]
    wanted: dict[str, Any] = {"subject": "CN=crl-recall-", "reason": "cessationOfOperation"}
    shown = fleet.post("certificates/revoke/", {**wanted, "dry_run": True}, status=200)
    assert shown["count"] == 3
    ordered = fleet.post("certificates/revoke/", {**wanted, "digest": shown["digest"]}, status=202)
    operation = fleet.wait_operation(ordered["operation"])
    assert operation["state"] == "done", operation
    assert [step["detail"] for step in operation["steps"]] == ["3 of 3 certificates revoked"]
    assert {device.reason() for device in devices} == {"cessationOfOperation"}


def test_the_bundle_is_what_openssl_wants(fleet: Fleet, tmp_path: Path) -> None:
    enrolment = fleet.enroll("crl-bundle")
    identity = enrolment.identity
    (tmp_path / "crls.pem").write_bytes(listed_as(fleet, enrolment).octets("crls.pem"))
    words = ["openssl", "verify", "-x509_strict", "-crl_check_all", "-CRLfile", str(tmp_path / "crls.pem")]
    words += ["-CAfile", str(identity.trust), "-untrusted", str(identity.certificate)]
    done = subprocess.run([*words, str(identity.certificate)], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("OK"), done.stdout + done.stderr
