"""Where a password proves a device: at brokers that take them, while it is good, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from brokers import models
from brokers.core.mosquitto.conf import PASSWORD_FILE
from brokers.core.password_texts import mosquitto
from brokers.core.ports import RenderSubject, Standing
from brokers.core.values import AdapterKind, BrokerId
from brokers.services import check_drift, evict, register_broker
from brokers.services.changing import NoRoomForPasswords, take_passwords
from brokers.services.converging import converge
from brokers.services.decision_memory import DecisionMemory
from brokers.services.decision_proofs import PrincipalProofs
from brokers.services.desired import desired_state, desired_state_of
from devices import queries, services
from devices.core.values import DeviceId, DeviceState
from devices.models import Device
from devices.services import IssuedPassword
from devices.services.password_use import password_use
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from kernel.queries import list_entries
from pki import queries as pki_queries
from pki import services as pki
from pki.core.values import ReasonCode
from tests.brokers.fleet import Fleet
from tests.cast import ADA, NORTH
from tests.devices.bare import Bare

HOUR = timedelta(hours=1)


@dataclass
class Hall:
    """A domain with a pump, and two brokers of which the first takes passwords."""

    domain: Bare
    pump: DeviceId
    taking: BrokerId
    other: BrokerId
    now: datetime
    clock: float = 0.0
    memory: DecisionMemory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = DecisionMemory(clock=lambda: self.clock)

    def issue(self, **changes: Any) -> IssuedPassword:
        return services.issue_password(device=self.pump, actor=ADA, **{"now": self.now, **changes})

    def subject(self, broker: BrokerId, *, now: datetime | None = None) -> RenderSubject:
        """The pump as the broker should see it, whether it is asked about alone or with all."""
        [one] = desired_state_of(device=self.pump, broker=broker, now=now or self.now).subjects
        assert desired_state(domain=NORTH, broker=broker, now=now or self.now).subjects == (one,)
        return one

    def proves(self, broker: BrokerId, text: str, *, now: datetime | None = None, is_trial: bool = False) -> bool:
        """Whether a decision lets the pump in with it, a second later."""
        self.clock += 1
        self.memory.follow()
        known = self.memory.find(NORTH, "pump-17", broker=broker, now=now or self.now)
        assert known is not None
        admitted = known.subject.state is Standing.ADMITTED
        return admitted and PrincipalProofs(known, dict, now or self.now, is_trial).password(text) is not None


@pytest.fixture
def hall(db: None) -> Hall:
    now = utc_now()
    domain = Bare(NORTH, "north", now)
    brokers: list[BrokerId] = []
    for name in ("taking", "other"):
        kind = AdapterKind.HTTP_DECISIONS
        row = models.Broker.objects.create(
            id=new_id(), domain_id=NORTH, name=name, kind=kind, connection=b"", created_at=now
        )
        brokers.append(BrokerId(row.id))
    take_passwords(broker=brokers[0], taken=True, actor=ADA, now=now)
    return Hall(domain, domain.register().id, brokers[0], brokers[1], now)


def test_device_with_nothing_but_a_password_is_let_in_where_passwords_are_taken(hall: Hall) -> None:
    made = hall.issue()
    there, elsewhere = hall.subject(hall.taking), hall.subject(hall.other)
    assert (there.state, elsewhere.state) == (Standing.ADMITTED, Standing.BARRED)
    assert there.password == made.password.verifier
    assert elsewhere.password is None
    assert hall.proves(hall.taking, made.text)
    assert not hall.proves(hall.other, made.text)
    assert not any(hall.proves(hall.taking, text) for text in ("", made.text[:-1], made.text.upper()))


def test_login_uses_a_password_and_a_trial_or_a_wrong_one_does_not(hall: Hall) -> None:
    made = hall.issue()
    password_use.write()  # what other tests left
    assert hall.proves(hall.taking, made.text, is_trial=True)
    assert not hall.proves(hall.taking, made.text[:-1])
    assert not hall.proves(hall.other, made.text)
    password_use.write()
    assert queries.passwords_of(device=hall.pump)[0].last_used_at is None
    assert hall.proves(hall.taking, made.text)
    password_use.write()
    assert queries.passwords_of(device=hall.pump)[0].last_used_at == hall.now


def test_broker_takes_no_passwords_unless_somebody_said_so(hall: Hall) -> None:
    assert models.Broker.objects.get(id=hall.other).takes_passwords is None
    [told] = [entry for entry in list_entries(domain=NORTH) if entry.subject.id == str(hall.taking)]
    assert (told.action, told.after) == ("brokers.broker.changed", {"changed": "passwords"})


def test_device_that_never_had_a_password_is_where_it_was(hall: Hall) -> None:
    Device.objects.update(state=DeviceState.ACTIVE)
    for broker in (hall.taking, hall.other):
        assert hall.subject(broker).state is Standing.ADMITTED
        assert hall.subject(broker).password is None


def test_both_passwords_prove_while_one_follows_the_other(hall: Hall) -> None:
    old = hall.issue()
    new = services.rotate_password(device=hall.pump, overlap=HOUR, actor=ADA, now=hall.now)
    assert hall.proves(hall.taking, old.text)
    assert hall.proves(hall.taking, new.text)
    assert hall.subject(hall.taking).password == old.password.verifier
    later = hall.now + HOUR
    assert not hall.proves(hall.taking, old.text, now=later)
    assert hall.proves(hall.taking, new.text, now=later)
    assert hall.subject(hall.taking, now=later).password == new.password.verifier


def test_revoked_password_proves_nobody_a_second_later(hall: Hall) -> None:
    made = hall.issue()
    assert hall.proves(hall.taking, made.text)
    services.revoke_password(device=hall.pump, password=made.password.id, actor=ADA, now=hall.now)
    assert not hall.proves(hall.taking, made.text)
    assert (hall.subject(hall.taking).state, hall.subject(hall.taking).password) == (Standing.BARRED, None)


@pytest.mark.parametrize("state", [DeviceState.SUSPENDED, DeviceState.REVOKED])
def test_device_that_is_shut_out_is_so_with_its_password(hall: Hall, state: DeviceState) -> None:
    made = hall.issue()
    assert hall.proves(hall.taking, made.text)
    if state is DeviceState.SUSPENDED:
        services.suspend_device(device=hall.pump, actor=ADA, now=hall.now)
    else:
        services.revoke_device(device=hall.pump, reason=ReasonCode.UNSPECIFIED, actor=ADA, now=hall.now)
    assert not hall.proves(hall.taking, made.text)
    assert (hall.subject(hall.taking).state, hall.subject(hall.taking).password) == (Standing.BARRED, None)


def test_password_does_not_let_in_whose_certificates_were_revoked(fleet: Fleet) -> None:
    pump, now = fleet.enroll("p-1").device.id, utc_now()
    broker = BrokerId(new_id())
    row: dict[str, Any] = {"kind": AdapterKind.HTTP_DECISIONS, "connection": b"", "created_at": now}
    models.Broker.objects.create(id=broker, domain_id=fleet.domain.id, name="hall", takes_passwords=True, **row)
    services.issue_password(device=pump, actor=ADA, now=now)
    for standing in (Standing.ADMITTED, Standing.BARRED):
        [one] = desired_state_of(device=pump, broker=broker, now=now).subjects
        assert desired_state(domain=fleet.domain.id, broker=broker, now=now).subjects == (one,)
        assert (one.state, one.password is None) == (standing, standing is Standing.BARRED)
        for certificate in pki_queries.certificates_of(holder=f"device:{pump}"):
            pki.revoke_certificate(certificate=certificate.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)


def test_password_reaches_a_broker_and_leaves_it_with_the_rest(
    hall: Hall, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    monkeypatch.setattr("brokers.adapters.mosquitto_files.MosquittoFolder._signal", lambda _: None)
    monkeypatch.setattr("brokers.adapters.mosquitto_files.PasswordFolder._signal", lambda _: None)
    (tmp_path / "brokers" / "hall").mkdir(parents=True)
    models.Broker.objects.all().delete()  # those are spoken to by nobody
    made = register_broker(
        domain=NORTH,
        name="hall",
        kind=AdapterKind.MOSQUITTO_FILES,
        connection={"files": {"directory": "hall"}},
        actor=ADA,
        now=hall.now,
    )
    models.Broker.objects.filter(id=made.id).update(managed_since=hall.now)
    take_passwords(broker=made.id, taken=True, actor=ADA, now=hall.now)

    def kept() -> str:
        return (tmp_path / "brokers" / "hall" / PASSWORD_FILE).read_text()

    first = hall.issue()
    for device in (None, hall.pump, hall.pump):
        converge(broker=made.id, device=device, now=hall.now)
        assert kept() == f"pump-17:{mosquitto(first.password.verifier)}\n"
    second = services.rotate_password(device=hall.pump, actor=ADA, now=hall.now)
    assert converge(broker=made.id, device=hall.pump, now=hall.now).steps == 0
    services.switch_password(device=hall.pump, actor=ADA, now=hall.now)
    converge(broker=made.id, device=hall.pump, now=hall.now)
    assert kept() == f"pump-17:{mosquitto(second.password.verifier)}\n"
    assert check_drift(broker=made.id, now=hall.now).count == 0
    services.suspend_device(device=hall.pump, actor=ADA, now=hall.now)
    evict(broker=made.id, device=hall.pump, now=hall.now)
    assert kept() == ""


def test_no_password_proves_anybody_once_the_broker_takes_them_no_more(hall: Hall) -> None:
    made = hall.issue()
    assert hall.proves(hall.taking, made.text)
    take_passwords(broker=hall.taking, taken=False, actor=ADA, now=hall.now)
    assert not hall.proves(hall.taking, made.text)
    assert hall.subject(hall.taking).state is Standing.BARRED


def test_what_is_so_already_is_not_changed_and_not_told(hall: Hall) -> None:
    before = len(list_entries(domain=NORTH))
    take_passwords(broker=hall.taking, taken=True, actor=ADA, now=hall.now)
    take_passwords(broker=hall.other, taken=False, actor=ADA, now=hall.now)
    assert len(list_entries(domain=NORTH)) == before


def test_broker_that_can_be_told_of_no_passwords_takes_none(hall: Hall) -> None:
    models.Broker.objects.filter(id=hall.other).update(kind=AdapterKind.NATS)
    with pytest.raises(NoRoomForPasswords):
        take_passwords(broker=hall.other, taken=True, actor=ADA, now=hall.now)
    assert models.Broker.objects.get(id=hall.other).takes_passwords is None
