"""A real Mosquitto that starts with the policy in its file, and what happens until a plan was applied to it."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from brokers import services
from brokers.core.mosquitto.conf import DYNSEC_FILE, FIRST_FILE
from brokers.core.values import AdapterKind, SyncState
from brokers.services.converging import UNMANAGED
from brokers.services.first_files import NoFirstFile
from devices import services as devices
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.brokers.conftest import Hall
from tests.brokers.device import wait_until
from tests.brokers.fleet import Fleet
from tests.brokers.mosquitto import ADMIN
from tests.cast import ADA


def first_file(*words: str) -> tuple[str, str]:
    out, told = io.StringIO(), io.StringIO()
    call_command("brokers", "first-file", "hall-7", *words, stdout=out, stderr=told)
    return out.getvalue(), told.getvalue()


def test_broker_that_starts_with_the_policy_is_kept_once_an_empty_plan_was_applied(hall: Hall) -> None:
    stays, goes = hall.fleet.enroll("p-1"), hall.fleet.enroll("p-2")
    live = hall.live.folder / DYNSEC_FILE
    before = live.read_text()
    written = Path(first_file("--beside")[0].strip())
    assert (written, live.read_text()) == (hall.live.folder / FIRST_FILE, before)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600

    hall.live.stop()
    live.write_text(written.read_text())
    hall.live.start()
    sessions = [hall.device(each) for each in (stays, goes)]
    assert [each.connect() for each in sessions] == [True, True]
    assert sessions[0].publish("north/p-1/up/t")
    assert services.evict(broker=hall.broker.id, device=goes.id, now=utc_now()).detail == UNMANAGED

    plan = services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now())
    assert plan.in_sync
    assert "is not kept so" in plan.warnings[0]
    services.apply_plan(broker=hall.broker.id, plan=plan.id, accept_deviations=(), actor=ADA, now=utc_now())
    devices.suspend_device(device=goes.id, actor=ADA, now=utc_now())
    assert services.converge(broker=hall.broker.id, now=utc_now()).sync is SyncState.IN_SYNC
    assert services.plan_broker(broker=hall.broker.id, actor=ADA, now=utc_now()).warnings == ()
    assert wait_until(lambda: sessions[1].ended)
    assert not sessions[0].ended
    devices.suspend_device(device=stays.id, actor=ADA, now=utc_now())
    assert services.evict(broker=hall.broker.id, device=stays.id, now=utc_now()).closed is not None
    assert wait_until(lambda: sessions[0].ended)
    for each in sessions:
        each.close()


def registered(fleet: Fleet, kind: AdapterKind = AdapterKind.MOSQUITTO_DYNSEC) -> None:
    connection: dict[str, object] = {"host": "127.0.0.1", "port": 1884, "username": ADMIN, "password": "secret-of-it"}
    if kind is AdapterKind.MOSQUITTO_FILES:
        connection = {"files": {"directory": "hall-7"}}
    who = {"actor": ADA, "now": utc_now()}
    services.register_broker(domain=fleet.domain.id, name="hall-7", kind=kind, connection=connection, **who)  # type: ignore[arg-type]


EXISTING = {"clients": [{"username": ADMIN, "roles": [{"rolename": "admin"}]}], "roles": [{"rolename": "admin"}]}


def test_file_comes_from_standard_input_or_a_path_and_goes_to_standard_output(
    fleet: Fleet, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registered(fleet)
    fleet.enroll("p-1")
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(EXISTING)))
    text, told = first_file()
    assert {each["username"] for each in json.loads(text)["clients"]} == {ADMIN, "p-1"}
    assert [line for line in told.splitlines() if line.startswith("4. manage.py brokers apply hall-7")]
    (tmp_path / "own.json").write_text(json.dumps(EXISTING))
    assert first_file("--existing", str(tmp_path / "own.json"))[0] == text
    entry = list_entries(limit=1)[0]
    assert (entry.action, entry.after) == ("brokers.first_file.made", {"broker": "hall-7", "devices": 1})


def test_what_is_no_file_of_the_broker_gives_none(fleet: Fleet, home: Path, tmp_path: Path) -> None:
    registered(fleet)
    for text, said in (("{}", "no file of Mosquitto's dynamic"), ('{"clients": [], "roles": []}', "another broker's")):
        (tmp_path / "own.json").write_text(text)
        with pytest.raises(CommandError, match=said):
            first_file("--existing", str(tmp_path / "own.json"))
    with pytest.raises(CommandError, match="can not be read"):
        first_file("--existing", str(tmp_path / "none.json"))
    with pytest.raises(CommandError, match="shares no folder"):
        first_file("--beside")


def test_other_brokers_have_none(fleet: Fleet, home: Path) -> None:
    registered(fleet, AdapterKind.MOSQUITTO_FILES)
    with pytest.raises(CommandError, match="Only a Mosquitto with dynamic security"):
        first_file("--beside")
    assert NoFirstFile.code == "no-first-file"
