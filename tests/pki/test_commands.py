"""`manage.py issue | revoke | crl | ocsp`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.core.management import call_command
from django.core.management.base import CommandError

from kernel.queries import list_entries
from pki.core.values import Issuer
from tests.cast import NORTH
from tests.pki.conftest import IssueDevice, make_csr, openssl

DEVICE = ("--issuer", "north-ca", "--profile", "device")


def run(*words: object) -> str:
    out = io.StringIO()
    call_command(*map(str, words), stdout=out)
    return out.getvalue()


def run_json(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--json"))
    return found


def issue(csr: Path, *words: str) -> tuple[object, ...]:
    names = ("--set", "common_name=mq.example", "--dns", "mq.example", "--ip", "192.0.2.1")
    return (
        "issue",
        csr,
        "--issuer",
        "north-ca",
        "--profile",
        "broker-server",
        "--holder",
        "service:mq",
        *names,
        *words,
    )


def test_a_certificate_is_issued_as_pem_that_openssl_verifies(root: Issuer, ca: Issuer, tmp_path: Path) -> None:
    make_csr(tmp_path, "mq")
    (tmp_path / "out.pem").write_text(run(*issue(tmp_path / "mq.csr")))
    (tmp_path / "root.pem").write_text(root.certificate_pem)
    said = openssl(
        "verify", "-purpose", "sslserver", "-verify_hostname", "mq.example", "-CAfile", tmp_path / "root.pem",
        "-untrusted", tmp_path / "out.pem", tmp_path / "out.pem",
    )  # fmt: skip
    assert said.strip().endswith("OK")
    [entry] = list_entries(domain=NORTH, limit=1)
    assert (entry.action, entry.actor.id.partition(":")[0]) == ("pki.certificate.issued", "command")


def test_a_certificate_goes_from_issued_to_revoked_by_commands(ca: Issuer, tmp_path: Path) -> None:
    make_csr(tmp_path, "mq")
    issued = run_json(*issue(tmp_path / "mq.csr"))
    assert run_json("ocsp", "north-ca", issued["serial_number"])["status"] == "good"
    assert run_json("revoke", issued["fingerprint"], "--hold")["state"] == "held"
    assert run_json("revoke", issued["serial_number"], "--issuer", "north-ca", "--release")["state"] == "issued"
    revoked = run_json("revoke", issued["fingerprint"], "--reason", "superseded", "--note", "new one")
    assert (revoked["state"], revoked["reason"]) == ("revoked", "superseded")
    assert run_json("revoke", issued["fingerprint"]) == revoked
    told = run_json("ocsp", "north-ca", issued["serial_number"])
    assert (told["status"], told["reason"]) == ("revoked", "superseded")
    assert "revoked" in run("ocsp", "north-ca", issued["serial_number"])
    assert run_json("ocsp", "north-ca", "0abc")["status"] == "unknown"


def test_a_crl_is_published_shown_and_written(ca: Issuer, issue_device: IssueDevice, tmp_path: Path) -> None:
    device = issue_device("x")
    run("revoke", device.fingerprint)
    assert run_json("crl", "publish", "north-ca")["number"] == 2
    shown = run_json("crl", "show", "north-ca", "--entries", "--out", tmp_path / "x.pem")
    assert (shown["number"], shown["entries"]) == (2, 1)
    [entry] = shown["revoked"]
    assert (entry["serial_number"], entry["reason"]) == (device.serial_hex, "unspecified")
    assert len(x509.load_pem_x509_crl((tmp_path / "x.pem").read_bytes())) == 1
    run("crl", "show", "north-ca", "--out", tmp_path / "x.der")
    assert len(x509.load_der_x509_crl((tmp_path / "x.der").read_bytes())) == 1
    assert device.serial_hex in run("crl", "show", "north-ca", "--entries")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("crl", "show", "nobody"), "no such issuer"),
        (("ocsp", "nobody", "01"), "no such issuer"),
        (("ocsp", "north-ca", "xyz"), "in hex"),
        (("ocsp", "north-ca", "00"), "above zero"),
        (("revoke", "xyz"), "in hex"),
        (("revoke", "ab" * 32), "no such certificate"),
        (("crl", "show", "north-ca", "--out", "/no/such/folder/x"), "can not be written"),
        (("issue", "/no/such/file", *DEVICE, "--holder", "x"), "can not be read"),
        (("issue", __file__, *DEVICE, "--holder", "x"), "no PKCS#10 request"),
        (("issue", __file__, *DEVICE, "--holder", "device:1"), "enrol"),
        (("issue", __file__, *DEVICE, "--holder", "x", "--set", "y"), "NAME=VALUE"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_in_a_sentence(words: tuple[str, ...], told: str, ca: Issuer) -> None:
    with pytest.raises(CommandError, match=told):
        run(*words)
