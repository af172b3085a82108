"""Passwords of a device: one at a time, two while one follows the other, none that comes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from devices import queries, services
from devices.core.passwords import (
    BadOverlap,
    NoPassword,
    Password,
    PasswordId,
    PasswordThere,
    UnknownPassword,
    on_brokers,
)
from devices.core.values import CredentialState as S
from devices.core.values import DeviceId, DeviceState
from devices.models import Device
from devices.models import Password as PasswordTable
from devices.services import IssuedPassword
from devices.services.issue_credential import DeviceRefused
from kernel.core.ids import new_id
from kernel.queries import list_entries
from pki.core.values import ReasonCode
from tests.cast import ADA, NORTH
from tests.devices.bare import Bare
from tests.devices.factory import Factory

HOUR = timedelta(hours=1)


@pytest.fixture
def bare(db: None, now: datetime) -> Bare:
    return Bare(NORTH, "north", now)


def active(factory: Factory, name: str = "pump-17") -> DeviceId:
    device = factory.register(name).id
    Device.objects.filter(id=device).update(state=DeviceState.ACTIVE)
    return device


def issue(factory: Factory, device: DeviceId, **changes: Any) -> IssuedPassword:
    return services.issue_password(device=device, actor=ADA, **{"now": factory.now, **changes})


def rotate(factory: Factory, device: DeviceId, **changes: Any) -> IssuedPassword:
    return services.rotate_password(device=device, actor=ADA, **{"now": factory.now, **changes})


def good(device: DeviceId, *texts: str, now: Any) -> list[bool]:
    verifiers = [each.verifier for each in queries.good_passwords(device=device, now=now)]
    return [any(verifier.is_of(text) for verifier in verifiers) for text in texts]


def kept(factory: Factory, device: DeviceId, *, now: Any) -> Password | None:
    """What a broker with room for one has."""
    found = on_brokers(queries.good_passwords(device=device, now=now), now=now)
    verifiers = queries.verifiers_in(domain=factory.domain, now=now)
    assert verifiers == ({device: found.verifier} if found else {})
    return found


def states(device: DeviceId) -> list[S]:
    return [each.state for each in reversed(queries.passwords_of(device=device))]


def actions(device: DeviceId) -> list[str]:
    entries = list_entries(domain=NORTH)
    return [each.action.rpartition(".")[2] for each in entries if each.subject.id == str(device)]


def test_first_password_makes_a_registered_device_active(bare: Bare) -> None:
    device = bare.register().id
    made = issue(bare, device)
    assert queries.get_device(device=device).state is DeviceState.ACTIVE
    assert queries.get_device(device=device).enrolled_at == bare.now
    assert good(device, made.text, made.text[:-1], "", now=bare.now) == [True, False, False]
    assert queries.is_without_certificate(device=device)
    assert queries.without_certificate(domain=bare.domain) == {device}


def test_password_stands_in_no_row_no_journal_and_no_repr(bare: Bare) -> None:
    device = bare.register().id
    made = issue(bare, device)
    [row] = PasswordTable.objects.all()
    [entry, *_] = list_entries(domain=NORTH)
    assert entry.action == "devices.device.password_issued"
    assert entry.after["digest"] == made.password.verifier.digest
    for told in (repr(made), repr(made.password), str(row.verifier), str(entry)):
        assert made.text not in told


def test_device_with_a_certificate_is_none_without_one(north: Factory) -> None:
    device = north.device()
    issue(north, device)
    assert not queries.is_without_certificate(device=device)
    assert queries.without_certificate(domain=north.domain) == frozenset()


def test_second_first_password_is_refused(bare: Bare) -> None:
    device = active(bare)
    made = issue(bare, device)
    with pytest.raises(PasswordThere):
        issue(bare, device)
    services.revoke_password(device=device, password=made.password.id, actor=ADA, now=bare.now)
    issue(bare, device)
    assert states(device) == [S.REVOKED, S.ACTIVE]


@pytest.mark.parametrize("state", [S for S in DeviceState if S not in {"pre-registered", "active", "quarantined"}])
def test_who_may_not_connect_gets_no_password(bare: Bare, state: DeviceState) -> None:
    device = bare.register().id
    Device.objects.update(state=state)
    with pytest.raises(DeviceRefused):
        issue(bare, device)
    assert queries.passwords_of(device=device) == []


def test_both_are_good_while_one_follows_the_other(bare: Bare) -> None:
    device = active(bare)
    old = issue(bare, device)
    new = rotate(bare, device, overlap=HOUR)
    assert good(device, old.text, new.text, now=bare.now + HOUR - timedelta(seconds=1)) == [True, True]
    assert good(device, old.text, new.text, now=bare.now + HOUR) == [False, True]


def test_broker_with_room_for_one_gets_the_new_one_when_the_old_one_ends(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device, overlap=HOUR)
    before, after = (kept(bare, device, now=bare.now + HOUR + step) for step in (timedelta(seconds=-1), timedelta()))
    assert before is not None
    assert after is not None
    assert (before.id, after.id) == (old.password.id, new.password.id)
    assert services.tell_ended_passwords(now=bare.now + HOUR - timedelta(seconds=1)) == 0
    assert services.tell_ended_passwords(now=bare.now + HOUR) == 1
    assert services.tell_ended_passwords(now=bare.now + HOUR) == 0
    assert states(device) == [S.EXPIRED, S.ACTIVE]
    assert actions(device)[0] == "password_ended"


def test_broker_with_room_for_one_gets_the_new_one_when_an_operator_says_so(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device, overlap=HOUR)
    services.switch_password(device=device, actor=ADA, now=bare.now)
    found = kept(bare, device, now=bare.now)
    assert found is not None
    assert found.id == new.password.id
    assert states(device) == [S.RETIRING, S.ACTIVE]
    assert good(device, old.text, new.text, now=bare.now) == [True, True]
    assert good(device, old.text, new.text, now=bare.now + HOUR) == [False, True]
    with pytest.raises(NoPassword):
        services.switch_password(device=device, actor=ADA, now=bare.now)


def test_one_that_retires_ends_when_another_one_does(bare: Bare) -> None:
    device = active(bare)
    issue(bare, device)
    for _ in range(2):
        rotate(bare, device, overlap=HOUR)
        services.switch_password(device=device, actor=ADA, now=bare.now)
    assert states(device) == [S.REVOKED, S.RETIRING, S.ACTIVE]


def test_without_overlap_the_old_one_ends_at_once(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device, overlap=timedelta())
    assert good(device, old.text, new.text, now=bare.now) == [False, True]
    assert new.password.state is S.ACTIVE


def test_rotation_asks_for_one_that_is_good_and_none_that_waits(bare: Bare) -> None:
    device = active(bare)
    with pytest.raises(NoPassword):
        rotate(bare, device)
    issue(bare, device)
    for overlap in (timedelta(seconds=-1), timedelta(days=30, seconds=1)):
        with pytest.raises(BadOverlap):
            rotate(bare, device, overlap=overlap)
    rotate(bare, device)
    with pytest.raises(PasswordThere):
        rotate(bare, device)


def test_present_one_has_no_end_any_more_once_the_one_that_waits_is_revoked(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device, overlap=HOUR)
    services.revoke_password(device=device, password=new.password.id, actor=ADA, now=bare.now)
    assert good(device, old.text, new.text, now=bare.now + 1_000 * HOUR) == [True, False]
    third = rotate(bare, device, overlap=HOUR)
    assert good(device, old.text, third.text, now=bare.now + HOUR) == [False, True]


def test_one_that_ended_stays_so_though_the_one_that_waits_is_revoked(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device, overlap=HOUR)
    services.revoke_password(device=device, password=new.password.id, actor=ADA, now=bare.now + HOUR)
    assert good(device, old.text, new.text, now=bare.now + HOUR) == [False, False]
    assert services.tell_ended_passwords(now=bare.now + HOUR) == 1
    assert states(device) == [S.EXPIRED, S.REVOKED]


def test_one_that_waits_follows_at_once_if_the_present_one_is_revoked(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device)
    assert services.revoke_password(device=device, password=old.password.id, actor=ADA, now=bare.now)
    assert good(device, old.text, new.text, now=bare.now) == [False, True]
    assert states(device) == [S.REVOKED, S.ACTIVE]
    assert services.revoke_password(device=device, password=old.password.id, actor=ADA, now=bare.now) is None


def test_one_that_retires_is_no_hindrance_to_a_first_one(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device)
    services.switch_password(device=device, actor=ADA, now=bare.now)
    services.revoke_password(device=device, password=new.password.id, actor=ADA, now=bare.now)
    third = issue(bare, device)
    assert good(device, old.text, new.text, third.text, now=bare.now) == [True, False, True]
    assert kept(bare, device, now=bare.now) == third.password


def test_end_that_was_not_told_yet_is_told_whatever_is_revoked_meanwhile(bare: Bare) -> None:
    device = active(bare)
    old, new = issue(bare, device), rotate(bare, device, overlap=HOUR)
    later = bare.now + HOUR
    assert services.revoke_password(device=device, password=old.password.id, actor=ADA, now=later) is None
    assert services.tell_ended_passwords(now=later) == 1
    found = kept(bare, device, now=later)
    assert found is not None
    assert found.id == new.password.id


def test_password_of_another_device_is_unknown(bare: Bare) -> None:
    mine, other = active(bare, "pump-1"), active(bare, "pump-2")
    made = issue(bare, other)
    for password in (made.password.id, PasswordId(new_id())):
        with pytest.raises(UnknownPassword):
            services.revoke_password(device=mine, password=password, actor=ADA, now=bare.now)
    assert good(other, made.text, now=bare.now) == [True]


def test_suspension_keeps_passwords_and_revocation_ends_them_for_good(bare: Bare) -> None:
    device = active(bare)
    issue(bare, device)
    rotate(bare, device)
    services.suspend_device(device=device, actor=ADA, now=bare.now)
    assert states(device) == [S.ACTIVE, S.STAGED]
    services.revoke_device(device=device, reason=ReasonCode.UNSPECIFIED, actor=ADA, now=bare.now)
    assert states(device) == [S.REVOKED, S.REVOKED]
    assert kept(bare, device, now=bare.now) is None


def test_application_has_passwords_as_devices_do(bare: Bare) -> None:
    application = services.register_application(domain=bare.domain, name="dashboards", actor=ADA, now=bare.now)
    made = issue(bare, application.id)
    assert actions(application.id) == ["password_issued", "registered"]
    assert good(application.id, made.text, now=bare.now) == [True]
