"""What a change of policy would do, told before anything is done."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Retain
from acl.services import create_role
from brokers.core.ports import EffectLine
from brokers.models import Broker
from brokers.queries import CONNECTION_PURPOSE
from brokers.services import foreseeing
from brokers.services.foreseeing import foresee_change
from devices import queries, services
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.policy_in_force import PolicyInForce
from devices.core.values import DeviceState
from devices.core.windows import Window
from devices.models import Device, Domain
from devices.queries.concerned import concerned_devices
from devices.queries.policy import policy_now
from devices.services.bindings import BindingTarget
from kernel.conf import master_key
from kernel.core.ids import new_id
from tests.brokers.fleet import allow, deny
from tests.cast import ADA, NORTH, NOW

pytestmark = pytest.mark.django_db

UP = allow(Action.PUBLISH, "${domain}/${client_id}/up/#")
ALL = allow(Action.SUBSCRIBE, "${domain}/all/#")
NO_STOP = deny(Action.PUBLISH, "${domain}/${client_id}/up/stop")


@pytest.fixture
def policy() -> PolicyDocument:
    """Two pumps with the role `pumps` by their type, one of them in the hall, which has `listeners`; a broker."""
    Domain.objects.create(id=NORTH, slug="north", name="North")
    services.create_device_type(domain=NORTH, name="pump", schema={}, actor=ADA, now=NOW)
    made = [
        services.register_device(domain=NORTH, name=name, device_type="pump", actor=ADA, now=NOW)
        for name in ("p-1", "p-2")
    ]
    Device.objects.update(state=DeviceState.ACTIVE)
    services.create_group(domain=NORTH, name="hall", members=[made[0].id], actor=ADA, now=NOW)
    pumps = create_role(domain=NORTH, name="pumps", rules=[UP], actor=ADA, now=NOW)
    listeners = create_role(domain=NORTH, name="listeners", rules=[ALL], actor=ADA, now=NOW)
    for role, target in ((pumps, BindingTarget(device_type="pump")), (listeners, BindingTarget(group="hall"))):
        services.bind_role(domain=NORTH, role=role.id, target=target, actor=ADA, now=NOW)
    _register_broker()
    return policy_now(domain=NORTH).document


def _register_broker() -> None:
    id = new_id()
    connection = json.dumps({"host": "127.0.0.1", "port": 1, "username": "a", "password": "b"}).encode()
    Broker.objects.create(
        id=id,
        domain_id=NORTH,
        name="hall-7",
        kind="mosquitto-dynsec",
        connection=master_key().wrap(connection, purpose=CONNECTION_PURPOSE, context=str(id)),
        created_at=NOW,
        managed_since=NOW,
    )


def with_rules(policy: PolicyDocument, name: str, *rules: RuleSpec) -> PolicyDocument:
    roles = [RoleSpec(name=name, rules=rules) if role.name == name else role for role in policy.roles]
    return replace(policy, roles=tuple(roles))


def test_what_is_computed_from_the_document_is_the_policy_in_force(policy: PolicyDocument) -> None:
    Device.objects.filter(name="p-2").update(state=DeviceState.QUARANTINED)
    role = create_role(domain=NORTH, name="ward", rules=[ALL], actor=ADA, now=NOW)
    services.set_quarantine_role(domain=NORTH, role=role.id, actor=ADA, now=NOW)
    now = policy_now(domain=NORTH)
    ids = {(role.name, RuleSpec.of(rule)): rule.id for role in now.roles.values() for rule in role.rules}
    computed = PolicyInForce(now.document, rule_ids=ids, binding_ids=now.bindings, now=NOW)
    subjects = list(queries.iterate_subjects(domain=NORTH, now=NOW))
    assert [len(subject.policy) for subject in subjects] == [2, 1]
    for subject in subjects:
        assert set(computed.policy_of(subject.device)) == set(subject.policy)
    assert policy.roles[0].name == "listeners"


def test_what_begins_and_ends_later_is_told_with_its_moment(policy: PolicyDocument) -> None:
    begins, ends = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    window = Window(not_before=begins, not_after=ends)
    timed = BindingSpec(role="listeners", via=BindingVia.DEVICE, target="p-2", window=window)
    after = replace(policy, bindings=(*policy.bindings, timed))
    found = foresee_change(domain=NORTH, before=policy, after=after, now=NOW)
    [cohort] = found.cohorts
    assert (cohort.at, cohort.devices, found.touched) == (begins, ("p-2",), 1)
    assert [line.filter for line in cohort.gained] == [ALL.topic]
    assert found.brokers[0].effect.gain == ()
    began = foresee_change(domain=NORTH, before=policy, after=after, now=begins)
    assert [(cohort.at, cohort.devices) for cohort in began.cohorts] == [(None, ("p-2",))]
    assert began.brokers[0].effect.gain != ()
    assert foresee_change(domain=NORTH, before=policy, after=after, now=ends).touched == 0


def test_a_role_that_is_given_only_later_is_foreseen_for_then(policy: PolicyDocument) -> None:
    later = NOW + timedelta(hours=1)
    pumps, listeners = policy.bindings[1], policy.bindings[0]
    before = replace(policy, bindings=(listeners, replace(pumps, window=Window(not_before=later))))
    found = foresee_change(domain=NORTH, before=before, after=with_rules(before, "pumps"), now=NOW)
    told = [(cohort.at, cohort.devices, [line.filter for line in cohort.lost]) for cohort in found.cohorts]
    assert told == [(later, ("p-1",), [UP.topic]), (later, ("p-2",), [UP.topic])]


def test_change_that_changes_nothing_touches_nobody(policy: PolicyDocument) -> None:
    found = foresee_change(domain=NORTH, before=policy, after=policy, now=NOW)
    assert (found.concerned, found.examined, found.touched, found.cohorts) == (2, 2, 0, ())
    assert found.brokers[0].effect.gain == found.brokers[0].effect.lose == ()


def test_devices_with_the_same_roles_are_told_together(policy: PolicyDocument) -> None:
    found = foresee_change(domain=NORTH, before=policy, after=with_rules(policy, "pumps", UP, NO_STOP), now=NOW)
    assert found.touched == 2
    assert [(cohort.roles_after, cohort.devices) for cohort in found.cohorts] == [
        (("listeners", "pumps"), ("p-1",)),
        (("pumps",), ("p-2",)),
    ]
    for cohort in found.cohorts:
        [lost] = cohort.lost
        assert (cohort.gained, lost.action, lost.filter) == ((), "publish", "${domain}/${client_id}/up/stop")


def test_broker_says_filter_by_filter_who_loses(policy: PolicyDocument) -> None:
    found = foresee_change(domain=NORTH, before=policy, after=with_rules(policy, "pumps", UP, NO_STOP), now=NOW)
    [broker] = found.brokers
    assert (broker.name, broker.managed, broker.tells, broker.effect.gain) == ("hall-7", True, True, ())
    assert broker.effect.lose == (
        EffectLine(auth_id="p-1", action="publish", filter="north/p-1/up/stop"),
        EffectLine(auth_id="p-2", action="publish", filter="north/p-2/up/stop"),
    )


def test_binding_gives_to_those_whom_it_reaches_alone(policy: PolicyDocument) -> None:
    more = BindingSpec(role="listeners", via=BindingVia.DEVICE, target="p-2")
    found = foresee_change(
        domain=NORTH, before=policy, after=replace(policy, bindings=(*policy.bindings, more)), now=NOW
    )
    [cohort] = found.cohorts
    assert (cohort.devices, cohort.roles_before, cohort.roles_after) == (("p-2",), ("pumps",), ("listeners", "pumps"))
    assert [(line.action, line.filter, line.conditions) for line in cohort.gained] == [
        ("subscribe", "${domain}/all/#", "")
    ]
    [broker] = found.brokers
    assert broker.effect.gain == (EffectLine(auth_id="p-2", action="subscribe", filter="north/all/#"),)


def test_rule_that_another_makes_superfluous_goes_without_a_word(policy: PolicyDocument) -> None:
    narrow = allow(Action.PUBLISH, "${domain}/${client_id}/up/now")
    before = with_rules(policy, "pumps", UP, narrow)
    assert foresee_change(domain=NORTH, before=before, after=policy, now=NOW).touched == 0


@pytest.mark.parametrize("state", [DeviceState.SUSPENDED, DeviceState.QUARANTINED, DeviceState.REVOKED])
def test_device_without_policy_gains_and_loses_nothing(policy: PolicyDocument, state: DeviceState) -> None:
    Device.objects.filter(name="p-2").update(state=state)
    found = foresee_change(domain=NORTH, before=policy, after=with_rules(policy, "pumps"), now=NOW)
    assert [cohort.devices for cohort in found.cohorts] == [("p-1",)]
    assert {line.auth_id for line in found.brokers[0].effect.lose} == {"p-1"}


def test_deviation_that_the_change_brings_is_told_as_fresh(policy: PolicyDocument) -> None:
    retained = RuleSpec(
        effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="${domain}/kept", retain=Retain.ONLY
    )
    found = foresee_change(domain=NORTH, before=policy, after=with_rules(policy, "pumps", UP, retained), now=NOW)
    [broker] = found.brokers
    [deviation] = [each for each in broker.deviations if each.id in broker.fresh]
    assert (deviation.kind, deviation.topic, deviation.principal_count) == ("narrower", "${domain}/kept", 2)
    assert broker.blocked == frozenset()


def test_more_devices_than_are_examined_are_told_as_a_sample(
    policy: PolicyDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseeing, "MOST_EXAMINED", 1)
    found = foresee_change(domain=NORTH, before=policy, after=with_rules(policy, "pumps"), now=NOW)
    assert (found.concerned, found.examined, found.touched, found.is_sample) == (2, 1, 1, True)
    assert {line.auth_id for line in found.brokers[0].effect.lose} == {"p-1"}


def test_of_many_devices_those_are_examined_that_the_change_could_touch(
    policy: PolicyDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseeing, "MOST_EXAMINED", 1)
    more = BindingSpec(role="listeners", via=BindingVia.DEVICE, target="p-2")
    found = foresee_change(
        domain=NORTH, before=policy, after=replace(policy, bindings=(*policy.bindings, more)), now=NOW
    )
    assert (found.concerned, found.examined, found.is_sample) == (1, 1, False)
    assert [cohort.devices for cohort in found.cohorts] == [("p-2",)]
    assert {line.auth_id for line in found.brokers[0].effect.gain} == {"p-2"}


@pytest.mark.parametrize("seed", range(12))
def test_no_device_gains_or_loses_that_is_not_concerned(policy: PolicyDocument, seed: int) -> None:
    """Every device is asked, and each that gains or loses is among those that the database finds."""
    dice = random.Random(seed)
    Device.objects.filter(name="p-2").update(state=dice.choice([DeviceState.ACTIVE, DeviceState.QUARANTINED]))
    places = [
        (BindingVia.DOMAIN, "north"),
        (BindingVia.DEVICE_TYPE, "pump"),
        (BindingVia.GROUP, "hall"),
        (BindingVia.DEVICE, "p-2"),
    ]

    def some_policy() -> PolicyDocument:
        names = dice.sample(["listeners", "pumps", "mills"], dice.randint(1, 3))
        return PolicyDocument.of(
            domain="north",
            quarantine_role=dice.choice([None, *names]),
            roles=[RoleSpec(name=name, rules=tuple(dice.sample([UP, ALL, NO_STOP], 2))) for name in names],
            bindings={
                BindingSpec(role=dice.choice(names), via=via, target=target) for via, target in dice.sample(places, 2)
            },
        )

    before, after = some_policy(), some_policy()
    found = foresee_change(domain=NORTH, before=before, after=after, now=NOW)
    ids, count = concerned_devices(domain=NORTH, before=before, after=after, limit=9)
    concerned = {device.auth_id for device in Device.objects.filter(id__in=ids)}
    assert {name for cohort in found.cohorts for name in cohort.devices} <= concerned
    assert count == len(ids)
    assert policy.domain == "north"
