"""Which entries of the journal make stale what: too much is a slow answer, too little a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from brokers.core.decide.epoch import MOST_MARKS, Epoch
from kernel.core.actor import SYSTEM
from kernel.core.ids import DomainId, EntryId
from kernel.core.journal import Entry, Subject
from tests.cast import NORTH, SOUTH

PUMP, OTHER = uuid4(), uuid4()


def entry(action: str, *, id: UUID | str = "", domain: DomainId | None = NORTH, **told: Any) -> Entry:
    """What the journal has of something that happened in north; the subject's kind is what the action begins with."""
    return Entry(
        seq=1,
        id=EntryId(uuid4()),
        at=datetime(2026, 11, 21, tzinfo=UTC),
        domain=domain,
        actor=SYSTEM,
        action=action,
        subject=Subject(kind=action.rpartition(".")[0], id=str(id)),
        before=told.get("before", {}),
        after=told.get("after", {}),
        note="",
        previous=b"",
        digest=b"",
    )


def still_known(*entries: Entry) -> tuple[bool, bool, bool]:
    """Whether what was known before of PUMP, of OTHER, and of a device in south, still holds."""
    epoch = Epoch()
    epoch.forget_all()
    since = epoch.number
    epoch.take(entries)
    return (
        epoch.has_device(PUMP, NORTH, since=since, name="pump"),
        epoch.has_device(OTHER, NORTH, since=since, name="other"),
        epoch.has_device(uuid4(), SOUTH, since=since, name="pump"),
    )


ONE = (False, True, True)
DOMAIN = (False, False, True)
ALL = (False, False, False)
NONE = (True, True, True)
OWN = {"name": "@pump"}
JOINED = {"added": [str(PUMP)], "added_count": 1}


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        (entry("devices.device.suspended", id=PUMP), ONE),
        (entry("devices.application.revoked", id=PUMP), ONE),
        (entry("devices.device.suspended", id="none"), DOMAIN),
        (entry("pki.certificate.revoked", after={"holder": f"device:{PUMP}"}), ONE),
        (entry("pki.certificate.revoked", after={"holder": "broker:hall-7"}), NONE),
        (entry("pki.certificate.revoked", after={"holder": "issuer:north-ca"}), ALL),
        (entry("pki.certificate.revoked"), ALL),
        (entry("pki.issuer.revoked"), ALL),
        (entry("devices.group.changed", after=JOINED), ONE),
        (entry("devices.group.changed", after=JOINED | {"added_count": 2}), DOMAIN),
        (entry("devices.group.changed", after={"name": "hall"}), DOMAIN),
        (entry("devices.group.changed", after={"removed": 7}), DOMAIN),
        (entry("devices.binding.created", after={"device": str(PUMP)}), ONE),
        (entry("devices.binding.removed", before={"device": str(PUMP)}), ONE),
        (entry("devices.binding.created", after={"device": None, "via": "group"}), DOMAIN),
        (entry("devices.binding.began"), DOMAIN),
        (entry("acl.role.changed"), DOMAIN),
        (entry("acl.role.changed", before={"name": "all"}, after={"name": "all"}), DOMAIN),
        (entry("acl.role.created", after=OWN), ONE),
        (entry("acl.role.changed", before=OWN, after=OWN), ONE),
        (entry("acl.role.deleted", before=OWN), ONE),
        (entry("acl.role.changed", before=OWN, after={"name": "all"}), DOMAIN),
        (entry("acl.role.changed", before=OWN, after={"name": "@third"}), DOMAIN),
        (entry("acl.role.changed", before={"name": []}, after={"name": []}), DOMAIN),
        (entry("acl.role.changed", domain=None, before=OWN, after=OWN), ALL),
        (entry("devices.group.renamed", after=OWN), DOMAIN),
        (entry("devices.domain.changed"), DOMAIN),
        (entry("something.of.tomorrow"), DOMAIN),
        (entry("something.of.tomorrow", domain=None), ALL),
        (entry("devices.policy_change.applied"), DOMAIN),
        (entry("devices.policy_change.drafted"), NONE),
        (entry("devices.enrolment_token.created"), NONE),
        (entry("console.operator.signed_in", domain=None), NONE),
        (entry("pki.crl.published"), NONE),
        (entry("brokers.broker.registered"), NONE),
    ],
)
def test_what_may_have_changed_is_stale(happened: Entry, expected: tuple[bool, bool, bool]) -> None:
    assert still_known(happened) == expected


def test_what_was_read_after_it_holds() -> None:
    epoch = Epoch()
    epoch.take([entry("devices.device.suspended", id=PUMP)])
    assert epoch.has_device(PUMP, NORTH, since=epoch.number, name="pump")


def test_secrets_are_read_again_when_anything_happens_to_brokers() -> None:
    for action, stale in (("brokers.decision_secret.revoked", True), ("brokers.plan.applied", False)):
        epoch = Epoch()
        epoch.take([entry(action)])
        assert epoch.has_doors(since=0) is not stale


def test_a_name_may_be_somebodys_after_anything_that_happens_in_its_domain() -> None:
    epoch = Epoch()
    epoch.take([entry("devices.device.enrolled", id=PUMP)])
    assert not epoch.has_stranger(NORTH, since=0)
    assert epoch.has_stranger(SOUTH, since=0)


@pytest.mark.parametrize(
    ("happened", "north", "south"),
    [
        (entry("devices.device.suspended", id=PUMP), True, True),
        (entry("acl.role.changed"), False, True),
        (entry("pki.issuer.revoked"), False, False),
    ],
)
def test_what_is_known_of_a_whole_domain_holds_while_only_single_devices_change(
    happened: Entry, north: bool, south: bool
) -> None:
    epoch = Epoch()
    epoch.forget_all()
    since = epoch.number
    epoch.take([happened])
    assert epoch.has_domain(NORTH, since=since) is north
    assert epoch.has_domain(SOUTH, since=since) is south
    assert epoch.swept == (since if north else epoch.number)


def test_marks_are_bounded() -> None:
    epoch = Epoch()
    told = {"added": [str(UUID(int=number)) for number in range(MOST_MARKS + 1)], "added_count": MOST_MARKS + 1}
    epoch.take([entry("devices.group.changed", after=told)])
    assert not epoch.has_device(OTHER, NORTH, since=0, name="other")
    assert not epoch._devices
    names = [{"name": f"@{number}"} for number in range(MOST_MARKS + 1)]
    since = epoch.number
    epoch.take([entry("acl.role.created", after=name) for name in names])
    assert not epoch.has_device(OTHER, NORTH, since=since, name="other")
    assert not epoch._own
