"""`manage.py enroll` and `manage.py devices`."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from devices import queries
from devices.core.values import DeviceState
from devices.models import Device
from kernel.queries import list_entries
from tests.devices.factory import Factory
from tests.devices.openssl import Workshop, openssl

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    said = io.StringIO()
    call_command(*words, "--domain", "north", stdout=said, stderr=said)
    return said.getvalue()


def test_token_of_the_command_enrols(north: Factory) -> None:
    token = run("enroll", "token", "--max-uses", "2", "--network", "192.0.2.0/24").strip()
    assert north.enroll("pump-1", token=token).device.state is DeviceState.ACTIVE
    [row] = queries.list_enrolment_tokens(domains=[north.domain])
    assert (row.max_uses, row.uses, row.allowed_networks) == (2, 1, ("192.0.2.0/24",))
    assert set(json.loads(run("enroll", "token", "--json"))) == {"id", "token", "expires_at"}


def test_device_of_a_request_is_enrolled(north: Factory, workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "a.csr").write_text(workshop.csr("pump-1"))
    said = run("enroll", "csr", str(tmp_path / "a.csr"), "--serial", "SN", "--set", "site=hall")
    assert "CN = pump-1" in openssl("x509", "-noout", "-subject", given=said.encode())
    device = Device.objects.get()
    assert (device.state, device.hardware_serial, device.attributes) == ("active", "SN", {"site": "hall"})
    again = json.loads(run("enroll", "csr", str(tmp_path / "a.csr"), "--json"))
    assert again["device"] == str(device.id)
    assert said.startswith(again["certificate"])
    minted = [entry for entry in list_entries(limit=50) if entry.action == "devices.enrolment_token.created"]
    assert minted[0].actor.label.endswith("(command line)")


def test_device_that_needs_approval_says_which_request_waits(
    north: Factory, workshop: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "a.csr").write_text(workshop.csr("pump-1"))
    with pytest.raises(CommandError) as caught:
        run("enroll", "csr", str(tmp_path / "a.csr"), "--profile", "gate")
    [waiting] = queries.list_enrolment_requests(domains=[north.domain])
    assert str(waiting.id) in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ("enroll", "csr", "/nowhere"),
        ("enroll", "token", "--profile", "none"),
        ("enroll", "token", "--max-uses", "0"),
        ("enroll", "token", "--network", "x"),
        ("devices", "import", "/nowhere"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(north: Factory, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as caught:
        run(*words)
    assert str(caught.value).endswith(".")


def test_export_has_each_device_on_a_line(north: Factory, south: Factory) -> None:
    for name in ("b", "ä", "a"):
        north.register(name, attributes={"site": "hall"})
    south.register("theirs")
    lines = [json.loads(line) for line in run("devices", "export").splitlines()]
    assert [line["name"] for line in lines] == ["a", "b", "ä"]
    assert (lines[0]["state"], lines[0]["attributes"]) == ("pre-registered", {"site": "hall"})
    assert run("devices", "export", "--state", "active") == ""


def imported(path: Path, *words: str) -> list[dict[str, Any]]:
    said = io.StringIO()
    with contextlib.suppress(SystemExit):
        call_command("devices", "import", str(path), "--domain", "north", "--json", *words, stdout=said)
    return [json.loads(line) for line in said.getvalue().splitlines()]


def test_csv_is_registered_once_however_often_it_is_imported(north: Factory, tmp_path: Path) -> None:
    file = tmp_path / "fleet.csv"
    file.write_text(
        "name,hardware_serial,attr.site,attr.litres,attr.wet\r\n"
        'pump-1,SN-1,"hall, left",5,true\r\n'
        "pump-2,SN-2,,,\r\n"
        "a/b,SN-3,,,\r\n"
        "pump-4,SN-4,,many,\r\n"
        "pump-5\r\n"
    )
    first = imported(file, "--device-type", "pump")
    assert [row["outcome"] for row in first] == ["created", "created", "refused", "refused", "refused"]
    assert [row["line"] for row in first] == [2, 3, 4, 5, 6]
    assert "litres" in first[3]["detail"]
    assert Device.objects.get(name="pump-1").attributes == {"site": "hall, left", "litres": 5, "wet": True}
    again = imported(file, "--device-type", "pump")
    assert [row["outcome"] for row in again] == ["unchanged", "unchanged", "refused", "refused", "refused"]
    assert Device.objects.count() == 2
    with pytest.raises(SystemExit, match="1"):
        run("devices", "import", str(file), "--device-type", "pump")


def test_ndjson_is_registered_and_enrols(north: Factory, tmp_path: Path) -> None:
    file = tmp_path / "fleet.ndjson"
    rows = [
        '{"name": "pump-1", "device_type": "pump", "attributes": {"litres": 5}, "hardware_serial": "SN"}',
        "",
        '{"name": "pump-2", "colour": "red"}',
        '{"name": 5}',
        "[]",
        "{",
        '{"name": "a\\u0000"}',
        '{"name": "\\ud800"}',
        '{"name": "pump-3", "device_type": "none"}',
        '{"name": "pump-1", "device_type": "pump"}',
    ]
    file.write_text("\n".join(rows))
    outcomes = [row["outcome"] for row in imported(file)]
    assert outcomes == ["created"] + ["refused"] * 8
    assert north.enroll("pump-1", hardware_serial="SN").device.attributes == {"litres": 5}


def test_dry_run_keeps_nothing(north: Factory, tmp_path: Path) -> None:
    file = tmp_path / "fleet.csv"
    file.write_text("name,device_type\npump-1,pump\n")
    before = list_entries(limit=1)[0].seq
    assert [row["outcome"] for row in imported(file, "--dry-run")] == ["created"]
    assert not Device.objects.exists()
    assert list_entries(limit=1)[0].seq == before
    assert run("devices", "import", str(file), "--dry-run").strip().startswith("1 would be created")


@pytest.mark.parametrize("header", ["name,colour", "hardware_serial", "", "name,name,x"])
def test_header_without_sense_is_refused(north: Factory, tmp_path: Path, header: str) -> None:
    file = tmp_path / "fleet.csv"
    file.write_text(f"{header}\n1,2\n")
    with pytest.raises(CommandError):
        run("devices", "import", str(file))


def test_file_in_another_encoding_is_refused(north: Factory, tmp_path: Path) -> None:
    file = tmp_path / "fleet.csv"
    file.write_bytes("name\nä\n".encode("latin-1"))
    with pytest.raises(CommandError, match="UTF-8"):
        run("devices", "import", str(file))
