"""What `manage.py doctor` finds, and how it ends."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from pytest_django import Settings

from acl.services import create_role
from console.diagnosis import Level, Observation, look_over
from devices.core.windows import Window
from devices.models import Domain
from devices.services import bind_role, tell_windows
from devices.services.bindings import BindingTarget
from kernel import services
from kernel.core.clock import utc_now
from kernel.core.journal import Queue, Step, StepState, Subject
from kernel.core.secrets import MasterKey
from kernel.models import JournalEntry, JournalHead, Wakeup
from pki import services as pki
from pki.core.values import Custody, KeyAlgorithm
from pki.models import Crl, Key
from pki.services.custody import custody
from tests.cast import ADA, NORTH, NOW
from tests.kernel.routing import router

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings: Settings, tmp_path: Path) -> Path:
    settings.GATEHOUSE_HOME = tmp_path
    return tmp_path


def faults(**more: bool) -> list[Observation]:
    return [seen for seen in look_over(now=NOW, **more) if seen.level is not Level.OK]


def record_step(settings: Settings, *, age: timedelta) -> Wakeup:
    """A wake-up that nobody took up, of an entry that is so old."""
    settings.GATEHOUSE_ROUTER = "tests.kernel.routing.router"
    router.steps = [Step(task="tests.act", target="ocsp", queue=Queue.REVOCATION)]
    with transaction.atomic():
        services.record(action="a", subject=Subject(kind="k", id="i"), actor=ADA, now=NOW - age)
    router.steps = []
    return Wakeup.objects.get()


def test_fresh_installation_is_well() -> None:
    assert faults() == []


def test_work_that_waits_for_a_worker_is_an_error(settings: Settings) -> None:
    record_step(settings, age=timedelta(minutes=5))
    [fault] = faults()
    assert (fault.check, fault.level) == ("work", Level.ERROR)
    assert "1 steps wait for a worker" in fault.text


def test_a_window_that_nobody_was_told_of_is_an_error() -> None:
    Domain.objects.create(id=NORTH, slug="north", name="North")
    role = create_role(domain=NORTH, name="shift", rules=[], actor=ADA, now=NOW)
    window, target = Window(not_before=NOW - timedelta(minutes=1)), BindingTarget(domain="north")
    made = NOW - timedelta(hours=1)
    bind_role(domain=NORTH, role=role.id, target=target, window=window, actor=ADA, now=made)
    [fault] = [seen for seen in faults() if "1 bindings began or ended" in seen.text]
    assert (fault.check, fault.level) == ("work", Level.ERROR)
    tell_windows(now=NOW)
    assert not [seen for seen in faults() if "began or ended" in seen.text]


def test_work_of_just_now_is_fine(settings: Settings) -> None:
    record_step(settings, age=timedelta(seconds=30))
    assert faults() == []


def test_step_that_waits_for_a_broker_is_not_overdue(settings: Settings) -> None:
    wakeup = record_step(settings, age=timedelta(minutes=5))
    services.run_wakeup(wakeup.pk, body=_defer, clock=lambda: NOW - timedelta(minutes=1), lease=timedelta(seconds=20))
    assert faults() == []


def _defer(_: services.Wake) -> str:
    raise services.Defer(until=NOW + timedelta(seconds=1))


def test_step_that_was_given_up_is_a_warning(settings: Settings) -> None:
    record_step(settings, age=timedelta(minutes=5))
    Wakeup.objects.update(state=StepState.FAILED, finished_at=NOW)
    assert [(fault.check, fault.level) for fault in faults()] == [("work", Level.WARNING)]


def test_wrong_master_key_is_an_error(settings: Settings) -> None:
    record_step(settings, age=timedelta())
    settings.GATEHOUSE_MASTER_KEY = MasterKey.generate()
    assert [fault.check for fault in faults()] == ["keys"]


def test_private_key_that_does_not_sign_is_an_error(settings: Settings, home: Path) -> None:
    key_id, _ = custody.generate(KeyAlgorithm.ECDSA_P256, Custody.FILE)
    assert faults() == []
    custody.destroy(key_id)
    Key.objects.create(id=key_id, algorithm=KeyAlgorithm.ECDSA_P256, custody=Custody.FILE, locator=f"{key_id}.key")
    [fault] = faults()
    assert (fault.check, fault.level) == ("keys", Level.ERROR)
    assert f"{key_id}.key is not on this machine" in fault.text


def test_key_that_others_may_read_is_an_error(home: Path) -> None:
    (home / "master.key").touch(mode=0o600)
    assert faults() == []
    (home / "master.key").chmod(0o640)
    assert [fault.text for fault in faults()] == [f"{home / 'master.key'} may be read by others: chmod 600 it."]


def test_clock_that_was_put_back_is_an_error(settings: Settings) -> None:
    record_step(settings, age=-timedelta(hours=1))
    assert [fault.check for fault in faults()] == ["clock"]


def test_journal_is_checked_on_demand(settings: Settings) -> None:
    record_step(settings, age=timedelta())
    JournalHead.objects.update(seq=2)
    assert [fault.check for fault in faults()] == ["keys"]
    assert "journal" in {fault.check for fault in faults(whole_journal=True)}


@pytest.mark.django_db(transaction=True)
def test_findings_are_told_by_how_bad_they_are() -> None:
    now = utc_now()
    root = pki.create_root(domain=NORTH, slug="north-root", common_name="North", actor=ADA, now=now)
    assert [seen.level for seen in look_over(now=now) if seen.check == "findings"] == [Level.OK]
    Crl.objects.filter(kind="full").update(next_update=now - timedelta(seconds=1))
    [fault] = [seen for seen in look_over(now=now) if seen.check == "findings"]
    assert fault.level is Level.ERROR
    assert fault.text.startswith("crl-overdue: north-root: Its full CRL is past its next update")
    assert "manage.py crl publish north-root" in fault.text
    soon = [seen for seen in look_over(now=root.not_after - timedelta(days=80)) if "ends-in-90-days" in seen.text]
    assert [seen.level for seen in soon] == [Level.WARNING]


def test_check_that_can_not_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("kernel.queries.find_backlog", refuse)
    assert [fault.text for fault in faults()] == ["could not be checked: ConnectionError: no route"]


def test_command_tells_all_and_its_exit_code_the_sum(home: Path) -> None:
    output = StringIO()
    call_command("doctor", "--json", stdout=output)
    said = json.loads(output.getvalue())
    assert said["well"] is True
    assert {seen["check"] for seen in said["observations"]} == {
        "settings", "database", "keys", "clock", "findings", "brokers", "queue", "work",
    }  # fmt: skip
    (home / "secret.key").touch(mode=0o644)
    (home / "secret.key").chmod(0o644)
    with pytest.raises(SystemExit) as end:
        call_command("doctor", stdout=output)
    assert end.value.code == 1
    assert JournalEntry.objects.count() == 0
