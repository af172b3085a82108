"""Engine, database and policy document agree about devices in groups by query, with own rules, windows and holds."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from acl.core.analysis_who_can import Question, rule_that_lets, who_could
from acl.core.rules import RuleSpec
from acl.core.values import Action, BoundRule, Effect, Publish, Receive, RoleId, Subscribe
from acl.queries import list_roles
from devices import services
from devices.core.policy_in_force import PolicyInForce
from devices.core.values import DeviceId, DeviceState, DeviceSubject
from devices.core.windows import ALWAYS, Window
from devices.models import Device, Domain
from devices.queries import Reached, iterate_subjects, next_boundary, reached_subjects, sample_reached
from devices.queries.policy import policy_document
from devices.services.bindings import BindingTarget, bind_role
from devices.services.device_rules import set_device_rules
from pki import services as pki
from tests.cast import ADA
from tests.devices.factory import Factory

SECOND = timedelta(seconds=1)
TOPICS = ["a", "b/#", "+/a", "${client_id}/a", "${attr.site}/b", "${cert.cn}/a", "${cert.serial}/#", "a/${attr.litres}"]
ASKED = ["a", "b/a", "d0/a", "d3/a", "d4/a", "hall/b", "yard/b", "a/1", "d1/a"]


@pytest.fixture
def fleet(north: Factory) -> Factory:
    """Three enrolled devices, one with its newest certificate on hold, and others in all states; groups by query."""
    who: dict[str, Any] = {"actor": ADA, "now": north.now}
    enrolled = [north.enroll(f"d{number}", attributes={"site": "hall"}) for number in range(3)]
    chain = x509.load_pem_x509_certificates(enrolled[1].certificate.pem.encode())
    newest = services.renew_credential(chain=chain, csr=north.workshop.csr(), address="192.0.2.7", now=north.now)
    pki.hold_certificate(certificate=newest.certificate.id, **who)
    states = [DeviceState.ACTIVE, DeviceState.ACTIVE, DeviceState.QUARANTINED, DeviceState.SUSPENDED]
    for number in range(3, 15):
        attributes = {"site": "yard" if number % 2 else "hall", "litres": number % 3}
        made = north.register(f"d{number}", attributes=attributes)
        Device.objects.filter(id=made.id).update(state=states[number % 4])
    for name, query in (("hall", 'attr.site == "hall"'), ("few", "attr.litres <= 1 or not attr.litres >= 0")):
        services.create_group(domain=north.domain, name=name, query=query, **who)
    return north


def give(fleet: Factory, dice: random.Random) -> None:
    """Roles by group, type and domain, some for a second more or from then on; four devices have own rules."""
    who: dict[str, Any] = {"actor": ADA, "now": fleet.now}
    targets = [
        BindingTarget(group="hall"),
        BindingTarget(group="few"),
        BindingTarget(device_type="pump"),
        BindingTarget(domain="north"),
    ]
    windows = [Window(not_after=fleet.now + SECOND), Window(not_before=fleet.now + SECOND), ALWAYS]
    for number, target in enumerate(targets):
        role = fleet.role(f"r{number}", *rules(dice))
        window = dice.choice(windows)
        bind_role(domain=fleet.domain, role=role.id, target=target, window=window, **who)
    for device in Device.objects.filter(name__in=["d0", "d1", "d3", "d6"]):
        set_device_rules(device=DeviceId(device.id), rules=rules(dice), **who)
    services.set_quarantine_role(domain=fleet.domain, role=fleet.role("barred", *rules(dice)).id, **who)


def rules(dice: random.Random) -> list[RuleSpec]:
    return [
        RuleSpec(
            effect=dice.choice([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
            actions=frozenset(dice.choice([[Action.PUBLISH], [Action.SUBSCRIBE], [*Action]])),
            topic=topic,
        )
        for topic in dice.sample(TOPICS, 3)
    ]


def whom_the_database_finds(fleet: Factory, asked: Question, now: datetime) -> set[DeviceId]:
    roles = list_roles(domains=[fleet.domain])
    quarantine = RoleId(Domain.objects.values_list("quarantine_role", flat=True).get(id=fleet.domain))
    found: set[DeviceId] = set()
    for role in (None, quarantine):
        answer = who_could([each for each in roles if role in (None, each.id)], asked, domain="north")
        sure, unsure = (
            Reached(domain=fleet.domain, condition=condition, quarantine_role=role, now=now)
            for condition in (answer.condition, answer.unsure)
        )
        judged = reached_subjects(unsure, limit=100)
        found |= {each.device.id for each in judged if rule_that_lets(each.policy, each.principal, asked)}
        found |= set(sample_reached(sure, limit=100))
    return found


def said(policy: tuple[BoundRule, ...]) -> list[tuple[str, str, str]]:
    return sorted(
        (bound.role_name, bound.binding.target if bound.binding else "", repr(RuleSpec.of(bound.rule)))
        for bound in policy
    )


def subjects(fleet: Factory, now: datetime) -> list[DeviceSubject]:
    return list(iterate_subjects(domain=fleet.domain, now=now))


def test_engine_database_and_document_agree_before_and_behind_a_boundary(fleet: Factory) -> None:
    dice, some_may = random.Random(20261122), 0
    give(fleet, dice)
    end = fleet.now + SECOND
    document = policy_document(domain=fleet.domain)
    for now in (fleet.now, end - timedelta(microseconds=1), end):
        everyone = subjects(fleet, now)
        read = PolicyInForce(document, rule_ids={}, binding_ids={}, now=now)
        for subject in everyone:
            assert said(read.policy_of(subject.device)) == said(subject.policy), subject.device.name
        for topic in ASKED:
            for asked in (Publish(topic=topic), Subscribe(topic=topic), Receive(topic=topic)):
                may = {each.device.id for each in everyone if rule_that_lets(each.policy, each.principal, asked)}
                assert whom_the_database_finds(fleet, asked, now) == may, (asked, now)
                some_may += bool(may)
    assert some_may > 20


@pytest.mark.parametrize("seed", [1, 2])
def test_a_policy_holds_until_the_next_boundary_that_is_told_of_it(fleet: Factory, seed: int) -> None:
    give(fleet, random.Random(seed))
    end = fleet.now + SECOND
    moments = (fleet.now, end - timedelta(microseconds=1), end)
    first, last, behind = ({each.device.id: each.policy for each in subjects(fleet, now)} for now in moments)
    assert first == last
    changed = {device for device, policy in last.items() if behind[device] != policy}
    assert changed
    assert {next_boundary(device=device, now=fleet.now) for device in changed} == {end}
