"""What HTTP decisions learn is what brokers with tables are given, whatever is done to a fleet, and whenever."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from acl import services as acl
from acl.core.values import Action, Role
from brokers import services
from brokers.core.ports import RenderSubject
from brokers.core.values import AdapterKind, BrokerId
from brokers.services.changing import take_passwords
from brokers.services.decision_memory import DecisionMemory
from brokers.services.desired import desired_state
from devices import services as devices
from devices.core.policy_document import PolicyDocument
from devices.core.rollouts import Split, waves_of
from devices.core.windows import Window
from devices.queries import list_bindings
from devices.queries.passwords import passwords_of
from devices.queries.policy import policy_document
from devices.queries.rollouts import rollouts_under_way
from devices.queries.subjects import next_boundary
from devices.services import policy_changes, rollouts
from devices.services.bindings import BindingTarget
from devices.services.device_rules import set_device_rules
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from pki import queries as pki
from pki import services as pki_services
from pki.core.values import CertificateState, ReasonCode
from tests.brokers.fleet import Enrolled, Fleet, allow, deny
from tests.brokers.services.test_rollouts import CALM
from tests.cast import ADA

MINUTE = timedelta(minutes=1)
WINDOWS: list[tuple[int | None, int | None]] = [(None, None)] * 3 + [(None, 5), (2, 7), (5, None), (-9, -3), (-1, 12)]
QUERIES = ['attr.site == "a"', 'device_type == "valve"', 'attr.site == "b" or name starts_with "p-"']


class World:
    """A fleet, the time, a memory that is asked before and after each change, and what can be done to all of it."""

    def __init__(self, fleet: Fleet, enrolled: Sequence[Enrolled]) -> None:
        self.fleet, self.here, self.now = fleet, fleet.domain.id, utc_now()
        self.memory = a_memory()
        made = [each.device for each in enrolled]
        devices.create_device_type(domain=self.here, name="valve", schema={"site": {"type": "string"}}, **self.who)
        made += [
            devices.register_device(domain=self.here, name=f"v-{number}", device_type="valve", **self.who)
            for number in range(3)
        ]
        made.append(devices.register_application(domain=self.here, name="desk", **self.who))
        self.ids = [each.id for each in made]
        self.auth_ids = [each.auth_id for each in made]
        devices.issue_password(device=self.ids[2], **self.who)
        devices.issue_password(device=self.ids[-1], **self.who)
        self.roles = [self._role(f"r{number}") for number in range(3)]
        self.chosen = [devices.create_group(domain=self.here, name=name, **self.who) for name in ("hall", "roof")]
        self.asked = devices.create_group(domain=self.here, name="found", query=QUERIES[0], **self.who)
        self.broker: BrokerId = services.register_broker(
            domain=self.here,
            name="hall-7",
            kind=AdapterKind.HTTP_DECISIONS,
            connection={"dialect": "emqx"},
            listeners=[],
            **self.who,
        ).id
        take_passwords(broker=self.broker, taken=True, **self.who)

    @property
    def who(self) -> dict[str, Any]:
        return {"actor": ADA, "now": self.now}

    def check(self) -> None:
        """What a memory that was asked before says, and one that was not, of each at each broker."""
        self.memory.follow(older_than=0)
        for broker in (None, self.broker):
            expected = desired_state(domain=self.here, broker=broker, now=self.now).subjects
            afresh = a_memory()._learn(self.here, broker, self.auth_ids, now=self.now)
            assert len(afresh) == len(expected) == len(self.ids)
            for subject in expected:
                auth_id = subject.principal.auth_id
                asked_before = self.memory.find(self.here, auth_id, broker=broker, now=self.now)
                assert asked_before is not None
                for known in (asked_before, afresh[auth_id]):
                    assert without_password(known.subject) == without_password(subject)

    def _role(self, name: str) -> Role:
        rules = [allow(Action.PUBLISH, f"{name}/${{client_id}}"), deny(Action.PUBLISH, f"{name}/no")]
        return acl.create_role(domain=self.here, name=name, rules=rules, **self.who)

    def bind(self, dice: random.Random) -> None:
        begins, ends = (None if each is None else self.now + each * MINUTE for each in dice.choice(WINDOWS))
        targets: list[dict[str, Any]] = [{"group": name} for name in ("hall", "roof", "found")]
        targets += [{"domain": "north"}, {"device_type": "valve"}, {"device": dice.choice(self.ids[:-1])}]
        targets += [{"application": self.ids[-1]}]
        devices.bind_role(
            domain=self.here,
            role=dice.choice(self.roles).id,
            target=BindingTarget(**dice.choice(targets)),
            window=Window(not_before=begins, not_after=ends),
            **self.who,
        )

    def rebind(self, dice: random.Random) -> None:
        binding = dice.choice(list_bindings(domains=[self.here])).id
        if dice.random() < 0.5:
            devices.unbind_role(binding=binding, **self.who)
        else:
            devices.change_binding(binding=binding, window=Window(not_after=self.now + 3 * MINUTE), **self.who)

    def change_role(self, dice: random.Random) -> None:
        role = dice.choice([*self.roles, self.fleet.role])
        acl.change_role(role=role.id, rules=[allow(Action.SUBSCRIBE, f"n/{dice.randrange(9)}")], **self.who)

    def change_quarantine(self, dice: random.Random) -> None:
        role = dice.choice([None, *(each.id for each in self.roles)])
        devices.set_quarantine_role(domain=self.here, role=role, **self.who)

    def change_state(self, dice: random.Random) -> None:
        change = dice.choice([devices.quarantine_device, devices.suspend_device, devices.resume_device])
        change(device=dice.choice(self.ids), **self.who)

    def change_certificate(self, dice: random.Random) -> None:
        [certificate] = pki.certificates_of(holder=f"device:{dice.choice(self.ids[:2])}")
        if certificate.state is CertificateState.HELD:
            pki_services.release_certificate(certificate=certificate.id, **self.who)
        elif dice.random() < 0.8:
            pki_services.hold_certificate(certificate=certificate.id, **self.who)
        else:
            reason = ReasonCode.SUPERSEDED
            pki_services.revoke_certificate(certificate=certificate.id, reason=reason, **self.who)

    def revoke_issuer(self, dice: random.Random) -> None:
        if dice.random() < 0.3:
            pki_services.revoke_issuer(issuer=self.fleet.ca.id, **self.who)

    def change_attributes(self, dice: random.Random) -> None:
        found: Mapping[str, Any] = {"site": dice.choice(["a", "b", None])}
        devices.change_attributes(device=dice.choice(self.ids[:-1]), attributes=found, **self.who)

    def change_query(self, dice: random.Random) -> None:
        devices.change_group_query(group=self.asked, query=dice.choice(QUERIES), **self.who)

    def change_members(self, dice: random.Random) -> None:
        change = dice.choice([devices.add_to_group, devices.add_to_group, devices.remove_from_group])
        change(group=dice.choice(self.chosen), devices=dice.sample(self.ids[:-1], 2), **self.who)

    def change_own_rules(self, dice: random.Random) -> None:
        rules = dice.choice([[], [allow(Action.PUBLISH, "own"), deny(Action.PUBLISH, f"r{dice.randrange(3)}/#")]])
        set_device_rules(device=dice.choice(self.ids[:-1]), rules=rules, **self.who)

    def change_password(self, dice: random.Random) -> None:
        device = dice.choice(self.ids)
        passwords = passwords_of(device=device)
        if not passwords:
            devices.issue_password(device=device, **self.who)
        elif dice.random() < 0.5:
            devices.rotate_password(device=device, overlap=3 * MINUTE, **self.who)
        else:
            devices.revoke_password(device=device, password=dice.choice(passwords).id, **self.who)

    def take_passwords(self, dice: random.Random) -> None:
        take_passwords(broker=self.broker, taken=dice.random() < 0.7, **self.who)

    def wait(self, dice: random.Random) -> None:
        self.now += dice.choice([MINUTE, 3 * MINUTE, 7 * MINUTE])

    def roll_out(self, dice: random.Random) -> None:
        """Starts a change that comes in waves, or has the next wave come, or takes it back."""
        if under_way := rollouts_under_way(domains=[self.here]):
            step = dice.choice([rollouts.advance_rollout, rollouts.advance_rollout, rollouts.roll_back_rollout])
            step(rollout=under_way[0].id, **self.who)
            return
        before = policy_document(domain=self.here)
        roles = [
            replace(role, rules=(*role.rules, allow(Action.PUBLISH, "new"))) if dice.random() < 0.5 else role
            for role in before.roles
        ]
        groups = [replace(group, query=dice.choice(QUERIES)) if group.query else group for group in before.groups]
        bindings = [binding for binding in before.bindings if dice.random() < 0.8]
        after = replace(before, roles=tuple(roles), groups=tuple(groups), bindings=tuple(bindings))
        parts: dict[Split, list[list[str]]] = {
            Split.BROKER: [[str(self.broker)]],
            Split.GROUP: [["hall"], ["found"]],
            Split.PERCENTAGE: [["40"]],
        }
        split = dice.choice([*Split])
        self.start(after, split, parts[split])

    def start(self, after: PolicyDocument, split: Split, parts: list[list[str]]) -> None:
        """That policy comes in waves, of which there are these and a last one."""
        made = policy_changes.draft_change(domain=self.here, title="New", document=after, **self.who)
        policy_changes.approve_change(change=made.id, **self.who)
        rollouts.start_rollout(change=made.id, waves=waves_of(split, parts), gate=CALM, **self.who)


STEPS: list[Callable[[World, random.Random], None]] = [
    World.bind,
    World.bind,
    World.bind,
    World.rebind,
    World.change_role,
    World.change_quarantine,
    World.change_state,
    World.change_state,
    World.change_certificate,
    World.revoke_issuer,
    World.change_attributes,
    World.change_query,
    World.change_members,
    World.change_members,
    World.change_own_rules,
    World.change_password,
    World.take_passwords,
    World.wait,
    World.wait,
    World.roll_out,
    World.roll_out,
]


def without_password(subject: RenderSubject) -> tuple[RenderSubject, bool]:
    """The same, and whether it has one: which, where there are two, is for brokers that have room for one."""
    return replace(subject, password=None), subject.password is not None


def a_memory() -> DecisionMemory:
    """One that looks at the journal when it has to, and not because time passes."""
    memory = DecisionMemory(clock=lambda: 1_000.0)
    memory.follow()
    return memory


@contextmanager
def undone() -> Iterator[None]:
    """What is written within is not there afterwards."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def enrolled(fleet: Fleet) -> list[Enrolled]:
    return [fleet.enroll(name) for name in ("p-0", "p-1")]


@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_what_is_learnt_is_what_is_desired_before_and_after_each_change(
    fleet: Fleet, enrolled: list[Enrolled], seed: int
) -> None:
    dice = random.Random(seed)
    with undone():
        world = World(fleet, enrolled)
        for _ in range(6):
            take_step(world, World.bind, dice)
        for _ in range(12):
            take_step(world, dice.choice(STEPS), dice)
            world.check()


def take_step(world: World, step: Callable[[World, random.Random], None], dice: random.Random) -> None:
    """Takes it, unless it can not be done as things are."""
    with suppress(DomainError), transaction.atomic():
        step(world, dice)


@pytest.mark.parametrize(
    "read",
    [
        "brokers.services.decision_memory.Ground",
        "devices.queries.policy_ground._rows",
        "devices.queries.policy_ground._bound_to",
        "devices.queries.policy_ground.find_overlay",
        "devices.queries.policy_ground.active_certificates",
        "devices.queries.all_good_passwords",
        "pki.queries.certificate_states",
    ],
)
def test_nobody_is_learnt_partly_as_before_a_change_and_partly_as_after(
    fleet: Fleet, enrolled: list[Enrolled], monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    dice, changed = random.Random(read), 0
    world = World(fleet, enrolled)
    for _ in range(6):
        take_step(world, World.bind, dice)
    take_step(world, World.roll_out, dice)
    for _ in range(9):
        step = dice.choice([each for each in STEPS if each is not World.wait])
        with monkeypatch.context() as patched:
            due = meanwhile(patched, read, partial(take_step, world, step, dice))
            memory = a_memory()
            found = memory._learn(world.here, world.broker, world.auth_ids, now=world.now)
        changed += not due
        expected = desired_state(domain=world.here, broker=world.broker, now=world.now).subjects
        assert {name: without_password(known.subject) for name, known in found.items()} == {
            each.principal.auth_id: without_password(each) for each in expected
        }
    assert changed


def meanwhile(patched: pytest.MonkeyPatch, read: str, act: Callable[[], None]) -> list[Callable[[], None]]:
    """Has `act` done once, right behind the first call of what reads; then it is not in the list any more."""
    due = [act]
    place, _, name = read.rpartition(".")
    original = getattr(import_module(place), name)

    def reading(*words: Any, **named: Any) -> Any:
        found = original(*words, **named)
        found = list(found) if isinstance(found, Generator) else found
        if due:
            due.pop()()
        return found

    patched.setattr(read, reading)
    return due


def test_a_window_that_a_change_in_waves_brings_a_device_into_ends(fleet: Fleet, enrolled: list[Enrolled]) -> None:
    world = World(fleet, enrolled)
    window, role = Window(not_after=world.now + 5 * MINUTE), world.roles[0].id
    devices.bind_role(domain=world.here, role=role, target=BindingTarget(group="found"), window=window, **world.who)
    before = policy_document(domain=world.here)
    groups = tuple(replace(group, query=QUERIES[-1]) if group.query else group for group in before.groups)
    world.start(replace(before, groups=groups), Split.BROKER, [[str(world.broker)]])
    assert next_boundary(device=world.ids[0], now=world.now) == window.not_after  # what tokens and callouts go by
    for passed, has in ((0, True), (5, False)):
        world.now += passed * MINUTE
        known = world.memory.find(world.here, "p-0", broker=world.broker, now=world.now)
        assert known is not None
        assert ("r0" in {bound.role_name for bound in known.subject.policy}) is has
        world.check()
