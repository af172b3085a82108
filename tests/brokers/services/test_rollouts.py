"""A rollout on brokers: what is waited for, what stops it, and that it is true on a real Mosquitto."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from acl.core.values import Action, Allow, Publish
from brokers import models, services
from brokers.core.access.reasons import AccessReason
from brokers.core.values import AccessKind, BrokerId, SyncState
from brokers.services.decision_memory import DecisionMemory
from brokers.services.rollout_findings import RolloutFindings
from brokers.services.rollout_progress import WaveState, progress_of
from brokers.services.rollout_signs import measure_wave
from devices import services as devices
from devices.core.policy_changes import ChangeState, PolicyChange
from devices.core.policy_document import RoleSpec
from devices.core.rollouts import BadWaves, Gate, Reaction, Rollout, RolloutState, Split, WaveRecord
from devices.core.values import DeviceId
from devices.queries.policy import policy_document
from devices.queries.policy_changes import get_change
from devices.queries.rollouts import get_rollout
from devices.services import policy_changes, rollouts
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.brokers.conftest import Hall
from tests.brokers.fleet import PUMP_RULES, Enrolled, Fleet, allow
from tests.brokers.test_tasks import run_all
from tests.cast import ADA

TEN = timedelta(minutes=10)
CALM = Gate(soak=TEN, refused=0, lost=50, on_trouble=Reaction.ROLL_BACK, on_unknown=Reaction.GO_ON)


def approved(fleet: Fleet) -> PolicyChange:
    """Every pump may publish to `north/new/…` as well."""
    policy = policy_document(domain=fleet.domain.id)
    rules = (*PUMP_RULES, allow(Action.PUBLISH, "${domain}/new/${client_id}"))
    after = replace(policy, roles=(RoleSpec(name="pump", rules=rules),))
    made = policy_changes.draft_change(domain=fleet.domain.id, title="New", document=after, actor=ADA, now=utc_now())
    return policy_changes.approve_change(change=made.id, actor=ADA, now=utc_now())


def start(fleet: Fleet, split: Split, *parts: list[str], gate: Gate = CALM, now: datetime | None = None) -> Rollout:
    return services.start_rollout(
        change=approved(fleet), split=split, parts=parts, gate=gate, actor=ADA, now=now or utc_now()
    )


def may(hall: Hall, enrolled: Enrolled) -> tuple[bool, bool]:
    """Whether Mosquitto takes what the change brings, and what was allowed before."""
    device = hall.device(enrolled)
    assert device.connect(), hall.live.log()
    found = device.publish("north/new/" + enrolled.device.name), device.publish(f"north/{enrolled.device.name}/up/t")
    device.close()
    return found


def explained(hall: Hall, enrolled: Enrolled) -> tuple[bool, str, bool]:
    asked = Publish(topic="north/new/" + enrolled.device.name, qos=0, retain=False)
    found = services.explain_request(device=enrolled.id, request=asked, now=utc_now())
    [broker] = found.brokers
    assert broker.deviation_kind is None
    return isinstance(found.explanation.verdict, Allow), broker.enforced_as, "wave 1 of 2" in found.rollout


def test_a_wave_has_it_on_mosquitto_and_after_trouble_nobody_has(hall: Hall) -> None:
    one, two = hall.fleet.enroll("p-1"), hall.fleet.enroll("p-2")
    devices.create_group(domain=hall.fleet.domain.id, name="pilot", members=[one.id], actor=ADA, now=utc_now())
    hall.plan_and_apply()
    rollout = start(hall.fleet, Split.GROUP, ["pilot"])
    services.watch_rollouts(now=utc_now())
    assert progress_of(get_rollout(rollout=rollout.id))[0].state is WaveState.WAITING
    run_all()
    services.watch_rollouts(now=utc_now())
    assert progress_of(get_rollout(rollout=rollout.id))[0].state is WaveState.WATCHED
    assert (may(hall, one), may(hall, two)) == ((True, True), (False, True))
    assert (explained(hall, one), explained(hall, two)) == ((True, "allow", True), (False, "deny", True))
    assert services.compare_broker(broker=hall.broker.id, now=utc_now()).sync is SyncState.IN_SYNC

    devices.suspend_device(device=two.id, note="", actor=ADA, now=utc_now())
    run_all()
    assert may(hall, two) == (False, False)
    devices.resume_device(device=two.id, note="", actor=ADA, now=utc_now())
    run_all()
    assert may(hall, two) == (False, True)

    log(hall.broker.id, one.id, AccessKind.REFUSED, AccessReason.NOT_AUTHORISED)
    services.watch_rollouts(now=utc_now())
    back = get_rollout(rollout=rollout.id)
    assert (back.state, get_change(change=back.change).state) == (RolloutState.ROLLED_BACK, ChangeState.DRAFT)
    assert "1 of 1 devices" in back.note
    run_all()
    assert (may(hall, one), may(hall, two)) == ((False, True), (False, True))


def log(broker: UUID, device: DeviceId, kind: AccessKind, reason: str, *, at: datetime | None = None) -> None:
    models.AccessEvent.objects.create(
        at=at or utc_now(),
        broker_id=broker,
        broker_name="hall",
        domain_id=models.Broker.objects.get(id=broker).domain_id,
        device_id=device,
        kind=kind,
        reason=reason,
    )


class Plant:
    """Two brokers that nobody contacts, and two devices; the clock is ours."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.now = fleet, utc_now()
        self.seconds = 0.0
        self.memory = DecisionMemory(clock=lambda: self.seconds)
        self.one, self.two = fleet.enroll("p-1").id, fleet.enroll("p-2").id
        devices.create_group(domain=fleet.domain.id, name="pilot", members=[self.one], actor=ADA, now=self.now)
        self.halls = [self._broker(name) for name in ("hall-1", "hall-2")]

    def _broker(self, name: str) -> models.Broker:
        return models.Broker.objects.create(
            id=new_id(), domain_id=self.fleet.domain.id, name=name, kind="nats", connection=b"", created_at=self.now,
            managed_since=self.now, sync=SyncState.IN_SYNC,
        )  # fmt: skip

    def obey(self, *halls: models.Broker, sync: SyncState = SyncState.IN_SYNC) -> None:
        for hall in halls:
            models.Broker.objects.filter(id=hall.id).update(converged_seq=10**6, sync=sync)

    def look(self, rollout: Rollout, after: timedelta = timedelta()) -> Rollout:
        self.now += after
        services.watch_rollouts(now=self.now)
        return get_rollout(rollout=rollout.id)

    def log(self, hall: models.Broker, device: DeviceId, kind: AccessKind, reason: str = "", *, ago: int = 1) -> None:
        log(hall.id, device, kind, reason, at=self.now - timedelta(seconds=ago))

    def answers(self) -> list[int]:
        """How many rules p-1 has by what is remembered of it for each broker, and for none."""
        self.seconds += 1
        self.memory.follow()
        found = [
            self.memory.find(self.fleet.domain.id, "p-1", broker=broker, now=self.now)
            for broker in (*(BrokerId(hall.id) for hall in self.halls), None)
        ]
        return [len(known.subject.policy) for known in found if known]

    def heard(self, minutes: int) -> None:
        for hall in self.halls:
            models.HeardDay.objects.create(broker=hall, day=self.now.date(), minutes=minutes, publishes=0, subscribes=0)


@pytest.fixture
def plant(fleet: Fleet) -> Plant:
    return Plant(fleet)


def test_waves_of_brokers_come_one_by_one_and_wait_for_one_that_is_down(plant: Plant) -> None:
    first, second = plant.halls
    with pytest.raises(BadWaves, match="no broker 'hall-9'"):
        start(plant.fleet, Split.BROKER, ["hall-9"])
    rollout = start(plant.fleet, Split.BROKER, ["hall-1"], ["hall-2"], now=plant.now)
    assert plant.answers() == [4, 3, 3], "HTTP decisions go by the broker that asks"
    plant.obey(first, sync=SyncState.UNREACHABLE)
    assert plant.look(rollout, TEN).records[-1].obeyed_at is None, "a broker that is down is waited for"
    [waited] = progress_of(plant.look(rollout))[0].brokers
    assert (waited.name, waited.obeys, waited.detail) == ("hall-1", False, "It is not reached.")
    gone_on = rollouts.advance_rollout(rollout=rollout.id, note="Without it.", actor=ADA, now=plant.now)
    assert gone_on.wave == 1
    assert plant.answers() == [4, 4, 3]
    assert [wave.state for wave in progress_of(gone_on)] == ["come", "waiting", "to-come"]
    plant.obey(second)
    assert plant.look(rollout).records[-1].obeyed_at == plant.now
    plant.log(second, plant.two, AccessKind.CONNECTED, ago=0)
    assert plant.look(rollout, TEN).wave == 2
    done = plant.look(rollout)  # no broker is left for the last wave
    assert (done.state, get_change(change=done.change).state) == (RolloutState.DONE, ChangeState.APPLIED)


def quiet(plant: Plant) -> None:
    plant.log(plant.halls[0], plant.one, AccessKind.CONNECTED)


def refused(plant: Plant) -> None:
    plant.log(plant.halls[0], plant.one, AccessKind.REFUSED, AccessReason.NOT_AUTHORISED)


def knocked(plant: Plant) -> None:
    """By strangers, with the names of devices and nothing that proves them."""
    for reason in (
        "bad-certificate",
        "not-proved",
        "wrong-client-id",
        "wrong-username",
        "not-active",
        "protocol-error",
    ):
        plant.log(plant.halls[0], plant.one, AccessKind.REFUSED, reason)
    quiet(plant)


def session(plant: Plant, *, hall: int = 0, ago: int) -> None:
    models.Session.objects.create(
        broker=plant.halls[hall], device_id=plant.one, auth_id="p-1", client_id="p-1",
        connected_at=plant.now - timedelta(seconds=ago),
    )  # fmt: skip


def refused_while_connected(plant: Plant) -> None:
    session(plant, ago=2)
    refused(plant)


def refused_and_back(plant: Plant) -> None:
    session(plant, ago=0)
    refused(plant)


def refused_while_connected_elsewhere(plant: Plant) -> None:
    session(plant, hall=1, ago=2)
    refused(plant)


def refused_where_an_end_may_be_untold(plant: Plant) -> None:
    models.Broker.objects.update(kind="http-decisions")
    refused_while_connected(plant)


def denied_while_connected(plant: Plant) -> None:
    session(plant, ago=2)
    plant.log(plant.halls[0], plant.one, AccessKind.DENIED, AccessReason.NOT_ALLOWED)


def ended(plant: Plant) -> None:
    plant.log(plant.halls[0], plant.one, AccessKind.DISCONNECTED, AccessReason.DISCONNECTED)
    plant.log(plant.halls[0], plant.one, AccessKind.DISCONNECTED, AccessReason.BY_ADMINISTRATOR)


def lost(plant: Plant) -> None:
    plant.log(plant.halls[0], plant.one, AccessKind.DISCONNECTED, AccessReason.CONNECTION_LOST)


def lost_as_before(plant: Plant) -> None:
    plant.log(plant.halls[0], plant.one, AccessKind.DISCONNECTED, AccessReason.CONNECTION_LOST, ago=2_000)
    lost(plant)
    lost(plant)


def deny(plant: Plant, *, ago: int, topic: str = "north/x", reason: str = "not-allowed") -> None:
    at = plant.now - timedelta(seconds=ago)
    models.DeniedAttempt.objects.create(
        broker=plant.halls[0], device_id=plant.one, action="publish", topic=topic, reason=reason,
        day=at.date(), count=1, first_at=at, last_at=at,
    )  # fmt: skip


def denied(plant: Plant) -> None:
    deny(plant, ago=1)


def malformed(plant: Plant) -> None:
    deny(plant, ago=1, reason="malformed-topic")
    quiet(plant)


def denied_as_ever(plant: Plant) -> None:
    deny(plant, ago=2 * 86_400)
    deny(plant, ago=1)
    quiet(plant)


ASK = replace(CALM, refused=0, lost=0, on_trouble=Reaction.PAUSE, on_unknown=Reaction.PAUSE)


def test_what_is_worse_than_before_the_wave_is_counted(plant: Plant) -> None:
    started = start(plant.fleet, Split.GROUP, ["pilot"], now=plant.now)
    cases: list[tuple[Callable[[Plant], None], tuple[int, int]]] = [
        (quiet, (0, 0)),
        (refused, (1, 0)),
        (knocked, (0, 0)),
        (refused_while_connected, (0, 0)),
        (refused_and_back, (1, 0)),
        (refused_while_connected_elsewhere, (1, 0)),
        (denied_while_connected, (1, 0)),
        (ended, (0, 0)),
        (lost, (0, 1)),
        (lost_as_before, (0, 0)),
        (denied, (1, 0)),
        (denied_as_ever, (0, 0)),
        (malformed, (0, 0)),
        (refused_where_an_end_may_be_untold, (1, 0)),
    ]
    came, obeyed = plant.now - timedelta(minutes=30), plant.now - TEN
    rollout = replace(started, records=(WaveRecord(entered_at=came, obeyed_at=obeyed),))
    plant.heard(8)
    for happens, expected in cases:
        models.AccessEvent.objects.all().delete()
        models.DeniedAttempt.objects.all().delete()
        models.Session.objects.all().delete()
        happens(plant)
        found = measure_wave(rollout, now=plant.now)
        assert (found.seen, (found.refused, found.lost)) == (1, expected), happens
        untold = "denials" if happens is not refused_where_an_end_may_be_untold else "lost connections"
        assert found.unknown == tuple(f"{hall} does not tell {untold} of devices." for hall in ("hall-1", "hall-2"))


def test_strangers_make_nobody_seen_and_what_was_not_decided_is_not_taken_for_good(plant: Plant) -> None:
    started = start(plant.fleet, Split.GROUP, ["pilot"], now=plant.now)
    came, obeyed = plant.now - timedelta(minutes=30), plant.now - TEN
    rollout = replace(started, records=(WaveRecord(entered_at=came, obeyed_at=obeyed),))
    plant.heard(8)
    plant.log(plant.halls[0], plant.one, AccessKind.REFUSED, AccessReason.NOT_PROVED)
    models.AccessEvent.objects.create(
        at=obeyed, broker=plant.halls[1], broker_name="hall-2", domain_id=plant.fleet.domain.id,
        kind=AccessKind.REFUSED, reason=AccessReason.UNDECIDED,
    )  # fmt: skip
    found = measure_wave(rollout, now=plant.now)
    assert (found.seen, found.refused) == (0, 0)
    assert "No device of this wave was seen." in found.unknown
    assert [line for line in found.unknown if "decide" in line] == ["Gatehouse could not decide on a login at hall-2."]


def test_what_nobody_saw_is_not_taken_for_good_and_looking_twice_is_once(plant: Plant) -> None:
    rollout = start(plant.fleet, Split.GROUP, ["pilot"], gate=ASK, now=plant.now)
    plant.obey(*plant.halls)
    plant.look(rollout)
    assert plant.look(rollout, TEN - timedelta(seconds=1)).state is RolloutState.RUNNING, "it is watched for so long"
    paused = plant.look(rollout, timedelta(seconds=1))
    assert paused.state is RolloutState.PAUSED
    assert "No device of this wave was seen." in paused.note
    assert "hall-1 was not heard all the time." in paused.note
    assert plant.look(rollout, TEN) == paused, "it waits for an operator"
    [finding] = RolloutFindings().find(domains=[paused.domain], now=plant.now)
    assert (finding.code, paused.note in finding.detail) == ("rollout-paused", True)
    rollouts.resume_rollout(rollout=rollout.id, actor=ADA, now=plant.now)
    models.Broker.objects.filter(name="hall-2").update(sync=SyncState.UNREACHABLE)
    assert not list(RolloutFindings().find(domains=None, now=plant.now + TEN))
    [finding] = RolloutFindings().find(domains=None, now=plant.now + 2 * TEN)
    assert (finding.code, "It waits for hall-2." in finding.detail) == ("rollout-waiting", True)


@pytest.mark.parametrize(
    ("on_trouble", "then"),
    [(Reaction.PAUSE, RolloutState.PAUSED), (Reaction.ROLL_BACK, RolloutState.ROLLED_BACK)],
)
def test_trouble_where_the_wave_has_come_stops_it_while_a_broker_is_waited_for(
    plant: Plant, on_trouble: Reaction, then: RolloutState
) -> None:
    gate = replace(CALM, on_trouble=on_trouble)
    rollout = start(plant.fleet, Split.GROUP, ["pilot"], gate=gate, now=plant.now)
    first, second = plant.halls
    plant.obey(first)
    plant.obey(second, sync=SyncState.UNREACHABLE)
    plant.now += timedelta(seconds=5)
    quiet(plant)
    plant.log(second, plant.one, AccessKind.REFUSED, AccessReason.NOT_AUTHORISED)
    waiting = plant.look(rollout, 2 * TEN)
    assert (waiting.state, waiting.wave) == (RolloutState.RUNNING, 0), "however good it looks, it is waited for"
    measured = waiting.records[-1].measured
    assert measured is not None
    assert (measured.refused, measured.unknown[0]) == (0, "hall-2 has not followed yet.")
    refused(plant)
    assert plant.look(rollout).state is then


def test_an_operator_who_pauses_meanwhile_is_respected(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = start(plant.fleet, Split.GROUP, ["pilot"], now=plant.now)
    plant.obey(*plant.halls)
    plant.look(rollout)
    measure = measure_wave

    def pausing(seen: Rollout, *, now: datetime) -> object:
        rollouts.pause_rollout(rollout=seen.id, actor=ADA, now=now)
        return measure(seen, now=now)

    monkeypatch.setattr("brokers.services.rollouts.measure_wave", pausing)
    after = plant.look(rollout, TEN)
    assert (after.state, after.wave, after.records[-1].measured) == (RolloutState.PAUSED, 0, None)


def test_one_of_two_at_once_watches_and_one_that_died_is_followed(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = start(plant.fleet, Split.GROUP, ["pilot"], now=plant.now)
    plant.obey(*plant.halls)
    plant.look(rollout)
    measure, measured = measure_wave, []

    def slowly(seen: Rollout, *, now: datetime) -> object:
        measured.append(now)
        services.watch_rollouts(now=now + timedelta(seconds=5))
        return measure(seen, now=now)

    monkeypatch.setattr("brokers.services.rollouts.measure_wave", slowly)
    plant.look(rollout)
    plant.look(rollout)
    assert measured == [plant.now, plant.now], "the second leaves it to the first, and to nobody once that is done"
    killed = rollouts.watching(rollout=rollout.id, now=plant.now)
    assert killed.__enter__()
    plant.look(rollout, timedelta(seconds=59))
    assert len(measured) == 2
    plant.look(rollout, timedelta(seconds=1))
    assert len(measured) == 3


def test_who_asks_from_tables_is_told_of_the_rollout(plant: Plant) -> None:
    start(plant.fleet, Split.GROUP, ["pilot"], now=plant.now)
    here = plant.fleet.domain.id
    answer = services.who_can(domains=[here], action=Action.PUBLISH, topic="north/new/p-1", now=plant.now)
    assert (answer.count, answer.rollouts) == (0, ("Change 1 is being rolled out: wave 1 of 2 has come.",))
    compiled = services.compile_policy(domain=here, target="mosquitto-acl", actor=ADA, now=plant.now)
    assert any("being rolled out" in warning for warning in compiled.warnings)
