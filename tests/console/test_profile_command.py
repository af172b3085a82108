"""`manage.py profile`, as an operator types it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.core.management import CommandError, call_command

from pki.core.profiles import PROFILES
from pki.queries import find_profile
from tests.cast import NORTH

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("domains")]
PUMP = {
    "validity": {"days": 30},
    "subject": [{"attribute": "CN", "value": "${auth_id}"}],
    "key_usage": ["digitalSignature"],
    "extended_key_usage": ["clientAuth"],
}


def profile(*words: str, **options: Any) -> str:
    said = StringIO()
    call_command("profile", *words, "--domain", "north", stdout=said, **options)
    return said.getvalue()


@pytest.fixture
def pump(tmp_path: Path) -> Path:
    (tmp_path / "pump.json").write_text(json.dumps(PUMP))
    return tmp_path / "pump.json"


def test_what_show_prints_is_what_save_takes(tmp_path: Path, pump: Path) -> None:
    assert profile("save", "pump", str(pump)) == "The profile pump is at version 1.\n"
    (tmp_path / "shown.json").write_text(profile("show", "pump"))
    assert (
        profile("save", "pump", str(tmp_path / "shown.json"), "--json") == '{\n  "name": "pump",\n  "version": 1\n}\n'
    )
    assert profile("save", "device", str(pump)) == "The profile device is at version 1.\n"
    assert json.loads(profile("show", "device", "--version", "0"))["validity"] == {"days": 365}


def test_list_names_every_profile_in_use(pump: Path) -> None:
    profile("save", "pump", str(pump))
    assert {each["name"] for each in json.loads(profile("list", "--json"))} == {*PROFILES, "pump"}
    assert "pump                 version 1" in profile("list")


def test_retire_brings_the_built_in_one_back(pump: Path) -> None:
    profile("save", "device", str(pump))
    profile("retire", "device")
    assert find_profile(domain=NORTH, name="device").version == 0
    with pytest.raises(CommandError, match="of its own"):
        profile("retire", "device")


def test_a_fault_is_told_with_its_place(pump: Path) -> None:
    pump.write_text(json.dumps(PUMP | {"key_usage": ["fly"]}))
    with pytest.raises(CommandError, match="/key_usage/0: A key usage is one of digitalSignature"):
        profile("save", "pump", str(pump))
    pump.write_text("{")
    with pytest.raises(CommandError, match="no JSON"):
        profile("save", "pump", str(pump))
    with pytest.raises(CommandError, match="can not be read"):
        profile("save", "pump", str(pump.with_name("none")))


def test_save_keeps_to_the_version_that_was_read(pump: Path) -> None:
    profile("save", "pump", str(pump))
    pump.write_text(json.dumps(PUMP | {"validity": {"days": 9}}))
    with pytest.raises(CommandError, match="changed meanwhile"):
        profile("save", "pump", str(pump), "--expected-version", "7")


def test_preview_prints_fields_findings_and_certificate(pump: Path) -> None:
    said = profile("preview", "pump", "--document", str(pump), "--set", "auth_id=p-7")
    assert "subject: CN=p-7\n" in said
    assert "keyUsage (critical): digitalSignature\n" in said
    shown = json.loads(profile("preview", "broker-server", "--dns", "mq.example", "--json"))
    names = x509.load_pem_x509_certificate(shown["certificate"].encode()).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["mq.example"]
    with pytest.raises(CommandError, match="NAME=VALUE"):
        profile("preview", "device", "--set", "auth_id")


def test_lint_fails_where_there_is_an_error(settings: Any) -> None:
    assert profile("lint").count("nothing found by gatehouse and pkilint") == len(PROFILES)
    settings.GATEHOUSE_BASE_URL = "ftp://pki.example"
    with pytest.raises(CommandError, match="make: device"):
        profile("lint", "device", "--json")
