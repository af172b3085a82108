"""Accounts on a broker that Gatehouse did not make: found, acknowledged, and gone when they are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from brokers import models, queries, services
from brokers.core.ports import AppliedState, DesiredState, Rendering, Step
from brokers.core.values import AdapterKind, Broker, BrokerId, SyncState
from brokers.services import checking
from brokers.services.accounts import InvalidAccounts
from brokers.services.by_hand_findings import ByHandFindings
from brokers.services.listening_findings import ListeningFindings
from kernel.core.clock import utc_now
from kernel.core.findings import Severity
from kernel.queries import list_entries
from tests.brokers.fleet import Fleet
from tests.cast import ADA


@dataclass
class StandInAdapter:
    """An adapter of a broker that holds what it should, and these accounts besides."""

    foreign: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def read(self) -> AppliedState:
        return AppliedState(artifact="", foreign=self.foreign, notes=self.notes)

    def plan(self, _desired: DesiredState, _applied: AppliedState) -> tuple[Step, ...]:
        return ()

    def render(self, _desired: DesiredState) -> Rendering:
        return Rendering(artifact="")


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> StandInAdapter:
    """The adapter of every broker."""
    made = StandInAdapter()
    monkeypatch.setattr(checking, "adapter_for", lambda _link: made)
    return made


@pytest.fixture
def broker(asking_broker: BrokerId) -> BrokerId:
    models.Broker.objects.update(kind=AdapterKind.RABBITMQ, control_name="warden", sync=SyncState.IN_SYNC)
    return asking_broker


def look(broker: BrokerId) -> Broker:
    services.compare_broker(broker=broker, now=utc_now())
    return queries.get_broker(id=broker)


def details(fleet: Fleet) -> list[str]:
    found = ByHandFindings().find(domains=[fleet.domain.id], now=utc_now())
    return [each.detail for each in found if each.code == "broker-unknown-accounts"]


def test_unknown_account_is_a_finding_until_it_is_gone(fleet: Fleet, broker: BrokerId, adapter: StandInAdapter) -> None:
    adapter.foreign = frozenset({"warden", "guest", "mallory"})  # warden is what Gatehouse is connected with
    assert look(broker).unknown_accounts == ("guest", "mallory")
    assert ["guest, mallory" in each for each in details(fleet)] == [True]
    adapter.foreign = frozenset({"warden"})
    assert (look(broker).unknown_account_count, details(fleet)) == (0, [])


def test_what_is_unsafe_of_the_broker_itself_is_a_finding_until_it_is_mended(
    fleet: Fleet, broker: BrokerId, adapter: StandInAdapter
) -> None:
    adapter.notes = ("MQTT is open.\0", "x" * 1_000)
    look(broker)
    [found] = ListeningFindings().find(domains=[fleet.domain.id], now=utc_now())
    assert (found.code, found.severity, len(found.detail)) == ("broker-unsafe", Severity.ERROR, 415)
    assert found.detail.startswith("MQTT is open.\N{REPLACEMENT CHARACTER} xxx")
    adapter.notes = ()
    look(broker)
    assert list(ListeningFindings().find(domains=[fleet.domain.id], now=utc_now())) == []


def test_account_of_a_devices_name_is_its_own(fleet: Fleet, broker: BrokerId, adapter: StandInAdapter) -> None:
    fleet.enroll("pump-1")
    adapter.foreign = frozenset({"pump-1", "pump-2"})
    assert look(broker).unknown_accounts == ("pump-2",)


def test_acknowledged_account_is_no_finding_until_it_is_taken_back(
    fleet: Fleet, broker: BrokerId, adapter: StandInAdapter
) -> None:
    adapter.foreign = frozenset({f"{number:03}" for number in range(30)})
    assert (len(look(broker).unknown_accounts), look(broker).unknown_account_count) == (20, 30)
    told = services.acknowledge_accounts(broker=broker, add=["000", "029"], actor=ADA, now=utc_now())
    assert (told.unknown_account_count, told.unknown_accounts[0]) == (29, "001")  # 029 is not among those shown
    assert look(broker).unknown_account_count == 28
    assert list_entries(limit=1)[0].action == "brokers.accounts.acknowledged"
    services.acknowledge_accounts(broker=broker, add=["000"], actor=ADA, now=utc_now())
    assert len([each for each in list_entries(limit=50) if each.action == "brokers.accounts.acknowledged"]) == 1
    services.acknowledge_accounts(broker=broker, remove=["000"], actor=ADA, now=utc_now())
    assert look(broker).unknown_accounts[0] == "000"
    assert "and 24 more" in details(fleet)[0]


def test_who_is_acknowledged_vouches_for_no_other_whose_name_begins_alike(
    broker: BrokerId, adapter: StandInAdapter
) -> None:
    adapter.foreign = frozenset({"x" * 255 + "a", "x" * 255 + "b", "x" * 255, "a\0b", "a\ufffdb"})
    shown = look(broker).unknown_accounts
    assert len(shown) == 5
    cut = shown[-1]
    services.acknowledge_accounts(broker=broker, add=[cut], actor=ADA, now=utc_now())
    assert look(broker).unknown_accounts == shown[:-1]
    adapter.foreign |= {cut}  # somebody takes for a name what the acknowledged one is told by
    assert len(look(broker).unknown_accounts) == 5


def test_names_that_no_database_takes_are_kept_otherwise(broker: BrokerId, adapter: StandInAdapter) -> None:
    adapter.foreign = frozenset({"a\0b", "x" * 70_000, "\ud800"})
    assert [name.partition("…")[0] for name in look(broker).unknown_accounts] == ["?", "a\ufffdb", "x" * 222]
    for name in ("", "a\0b", "x" * 256):
        with pytest.raises(InvalidAccounts) as refused:
            services.acknowledge_accounts(broker=broker, add=[name], actor=ADA, now=utc_now())
        assert refused.value.errors[0].pointer == "/add/0"
    with pytest.raises(InvalidAccounts, match="At most 200"):
        services.acknowledge_accounts(broker=broker, add=list(map(str, range(201))), actor=ADA, now=utc_now())
    assert queries.get_broker(id=broker).known_accounts == ()
