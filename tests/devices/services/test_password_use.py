"""When a password was used last: noted at once, written by somebody else, at most once an hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError

from devices import services
from devices.core.passwords import PasswordId
from devices.core.values import DeviceId, DeviceState
from devices.models import Device, Password
from devices.queries import passwords_of
from devices.services import IssuedPassword, prove_by_password
from devices.services.password_use import EVERY, PasswordUse, password_use
from devices.services.prove_principal import WrongPassword
from kernel.core.ids import new_id
from tests.cast import ADA, NORTH, NOW
from tests.devices.bare import Bare

SECOND = timedelta(seconds=1)


@pytest.fixture
def device(db: None) -> DeviceId:
    found = Bare(NORTH, "north", NOW).register("pump-17").id
    Device.objects.filter(id=found).update(state=DeviceState.ACTIVE)
    return found


@pytest.fixture
def made(device: DeviceId) -> IssuedPassword:
    return services.issue_password(device=device, actor=ADA, now=NOW)


def last_used(device: DeviceId) -> datetime | None:
    return passwords_of(device=device)[0].last_used_at


def test_use_is_written_once_an_hour_and_by_whom_it_is_given_to(device: DeviceId, made: IssuedPassword) -> None:
    asked: list[Callable[[], None]] = []
    use, other_process = PasswordUse(start=asked.append), PasswordUse(start=asked.append)
    for seconds in range(3):
        use.note(password=made.password.id, now=NOW + seconds * SECOND)
    assert (len(asked), last_used(device)) == (1, None)
    use.write()
    assert last_used(device) == NOW
    other_process.note(password=made.password.id, now=NOW + EVERY - SECOND)
    other_process.write()
    assert last_used(device) == NOW
    use.note(password=made.password.id, now=NOW + EVERY)
    assert len(asked) == 3
    use.write()
    assert last_used(device) == NOW + EVERY


def test_database_that_is_away_refuses_nobody_and_the_next_use_is_written(
    device: DeviceId, made: IssuedPassword, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("the server closed the connection")

    use = PasswordUse(start=lambda _: None)
    use.note(password=made.password.id, now=NOW)
    with monkeypatch.context() as patch:
        patch.setattr("devices.services.password_use._write", away)
        use.write()
    use.write()  # nothing waits
    assert last_used(device) is None
    use.note(password=made.password.id, now=NOW + SECOND)
    use.write()
    assert last_used(device) == NOW + SECOND


def test_many_are_written_at_once_and_no_more_wait_than_may(
    made: IssuedPassword, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.services.password_use.MOST_WAITING", 2)
    use = PasswordUse(start=lambda _: None)
    for password in (made.password.id, PasswordId(new_id()), PasswordId(new_id())):
        use.note(password=password, now=NOW)
    use.write()
    assert Password.objects.filter(last_used_at=NOW).count() == 1
    use.note(password=made.password.id, now=NOW - EVERY)  # a clock that was put back
    use.write()
    assert Password.objects.get().last_used_at == NOW


def test_who_gets_a_token_for_a_password_has_used_it(device: DeviceId, made: IssuedPassword) -> None:
    password_use.write()  # what other tests left
    with pytest.raises(WrongPassword):
        prove_by_password(client="north/pump-17", password="guess", now=NOW)
    password_use.write()
    assert last_used(device) is None
    prove_by_password(client="north/pump-17", password=made.text, now=NOW)
    password_use.write()
    assert last_used(device) == NOW
