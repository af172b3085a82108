"""`manage.py certificate list|show`."""

from __future__ import annotations

import json

import pytest
from cryptography import x509
from django.core.management.base import CommandError

from pki.core.values import Issuer
from tests.pki.conftest import IssueDevice
from tests.pki.test_commands import run, run_json


def listed(*words: str) -> list[str]:
    return [json.loads(line)["serial_number"] for line in run("certificate", "list", *words, "--json").splitlines()]


def test_list_is_narrowed_and_bounded(ca: Issuer, issue_device: IssueDevice) -> None:
    first, second = issue_device("pump-1").serial_hex, issue_device("pump-2").serial_hex
    assert listed("--profile", "device") == [second, first]
    assert listed("--profile", "device", "--limit", "1") == [second]
    assert listed("--limit", "0", first[:12]) == [first]
    assert listed("--state", "revoked") == []
    run("revoke", first, "--issuer", "north-ca", "--reason", "superseded")
    assert listed("--state", "revoked", "--issuer", "north-ca") == [first]
    [line] = run("certificate", "list", "--state", "revoked").splitlines()
    assert line.split()[:2] == [first, "revoked"]
    assert line.endswith("north-ca  CN=pump-1")


def test_show_gives_the_certificate_itself(ca: Issuer, issue_device: IssueDevice) -> None:
    issued = issue_device("pump-1")
    shown = run_json("certificate", "show", issued.serial_hex[:16], "--issuer", "north-ca")
    certificate = x509.load_pem_x509_certificate(shown["certificate"].encode())
    assert certificate.serial_number == issued.serial
    assert shown["not_after"] == certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert shown["subject"] == certificate.subject.rfc4514_string()
    assert "serial_number: " + issued.serial_hex in run("certificate", "show", issued.serial_hex)


@pytest.mark.parametrize("words", [("show", "ff" * 20), ("show", ""), ("list", "--issuer", "nobody"), ("list", "zz")])
def test_what_is_not_there_is_said(ca: Issuer, issue_device: IssueDevice, words: tuple[str, ...]) -> None:
    issue_device("pump-1"), issue_device("pump-2")
    if words == ("list", "zz"):
        assert run("certificate", *words) == ""
        return
    with pytest.raises(CommandError):
        run("certificate", *words)
