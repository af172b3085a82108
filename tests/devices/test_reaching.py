"""The database's count of who may do something, against the judgement of every device by itself."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from acl.core.analysis_conditions import ALWAYS, NEVER, Held, Safe, Same, negated
from acl.core.analysis_who_can import PublishWithin, Question, rule_that_lets, who_could
from acl.core.rules import RuleSpec
from acl.core.templates import fault_of, value_of
from acl.core.values import Action, Effect, Publish, Receive, Retain, Role, RoleId, Shared, Subscribe
from acl.queries import list_roles
from acl.services import create_role
from devices.core.values import DeviceId, DeviceState, PrincipalKind
from devices.models import Binding, Credential, Device, DeviceType, Domain, Group
from devices.queries import (
    Fellows,
    Reached,
    any_reached,
    bindings_at_work,
    count_reached,
    iterate_subjects,
    reached_subjects,
    sample_reached,
)
from devices.queries.role_cohorts import count_by_roles
from devices.queries.role_effect import role_effect
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.cast import ADA
from tests.devices.factory import Factory

IDS = ["pump-1", "pump-2", "a", "b", "泵", "$a", "a+b", "c d", "\x07", "x'y", "%", "*[a]"]
SITES: list[Any] = ["a", "b", "hall", "a/b", "", "#", "$a", "\x85", True, False, 1, 15, 1.5, 0.00001, 1e16, 2.5e20, -3]
PLAIN = ["a", "b", "hall", "+", ""]
LEVELS = [
    *PLAIN,
    "${device_type}",
    "${client_id}",
    "${attr.site}",
    "${domain}",
    "p${auth_id}",
    "${attr.size}x${attr.site}",
]
LATER = datetime(2900, 1, 1, tzinfo=UTC)
LAST = ["a", "#", "+", "${client_id}", "${attr.site}", "${cert.cn}", "${cert.serial}", "${cert.san_uri}", "${cert.o}"]
ASKED = ["t0", "a", "b", "hall", "pump-1", "true", "1", "1.5", "1e-05", "10000000000000000", "$a", "north", "+", "15xa"]


@pytest.fixture
def fleet(north: Factory) -> Factory:
    """Forty devices and applications of every state, some with certificates, in groups and types, with odd names."""
    dice = random.Random(7)
    groups = [Group.objects.create(id=new_id(), domain_id=north.domain, name=f"g{n}") for n in range(4)]
    types = [DeviceType.objects.create(id=new_id(), domain_id=north.domain, name=f"t{n}") for n in range(2)]
    enrolled = [north.device("pump-1"), north.device("pump-2")]
    for number in range(40):
        if number < len(enrolled):
            device = Device.objects.get(id=enrolled[number])
        else:
            name = IDS[number] if number < len(IDS) else f"d{number}"
            states = [DeviceState.ACTIVE] * 3 + [DeviceState.QUARANTINED, DeviceState.SUSPENDED]
            device = Device(id=new_id(), domain_id=north.domain, name=name, auth_id=name, client_id=name)
            device.state, device.device_type, device.created_at = dice.choice(states), dice.choice(types), north.now
            if number % 5 == 4:
                device.kind, device.device_type = PrincipalKind.APPLICATION, None
        device.attributes = {name: dice.choice(SITES) for name in ("site", "size") if dice.random() < 0.8}
        device.save()
        device.groups.set(dice.sample(groups, dice.randrange(3)))
    odd = {"cn": "a", "o": "hall", "ou": "a/b", "san_dns": "$a"}
    Credential.objects.filter(device_id=enrolled[0]).update(**odd)
    return north


def rule(dice: random.Random) -> RuleSpec:
    actions = frozenset(dice.choice([[Action.PUBLISH], [Action.SUBSCRIBE], [*Action]]))
    topic = "/".join([*dice.choices(LEVELS, k=dice.randrange(3)), dice.choice(LAST)])
    shared = dice.choice([Shared.ANY, Shared.ONLY, Shared.NEVER]) if Action.SUBSCRIBE in actions else Shared.ANY
    return RuleSpec(
        effect=dice.choice([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
        actions=actions,
        topic=topic,
        qos=frozenset(dice.choice([[0, 1, 2], [0, 1, 2], [0]])),
        retain=dice.choice([*Retain]) if Action.PUBLISH in actions else Retain.ANY,
        shared=shared,
        shared_group=dice.choice([None, "g"]) if shared is Shared.ONLY else None,
    )


def policy(fleet: Factory, dice: random.Random) -> list[Role]:
    """Six roles, bound at random, one of them for quarantine."""
    Binding.objects.all().delete()
    Domain.objects.update(quarantine_role=None)
    devices = list(Device.objects.order_by("auth_id"))
    for number in range(6):
        name = f"r{number}-{dice.randrange(10**9)}"
        made = create_role(
            domain=fleet.domain, name=name, rules=_different(rule(dice) for _ in range(3)), actor=ADA, now=fleet.now
        )
        target: dict[str, Any] = dice.choice(
            [
                {"whole_domain": True},
                {"device": dice.choice(devices)},
                {"group": dice.choice(Group.objects.order_by("name"))},
                {"device_type": dice.choice(DeviceType.objects.order_by("name"))},
            ]
        )
        window = dice.choice([{}, {}, {"not_before": fleet.now}, {"not_before": LATER}, {"not_after": fleet.now}])
        Binding.objects.create(id=new_id(), domain_id=fleet.domain, role_id=made.id, **target, **window)
    Domain.objects.update(quarantine_role=made.id)
    return list_roles(domains=[fleet.domain])


def _different(rules: Iterator[RuleSpec]) -> list[RuleSpec]:
    return list(dict.fromkeys(rules))


def question(dice: random.Random) -> Question:
    name = "/".join(dice.choices([word for word in ASKED if word != "+"], k=dice.randrange(1, 4)))
    filter = "/".join([*dice.choices(ASKED, k=dice.randrange(3)), dice.choice([*ASKED, "#"])])
    questions: list[Question] = [
        Publish(topic=name, retain=dice.random() < 0.5),
        Subscribe(topic=filter, qos=dice.randrange(3), group=dice.choice([None, "g"])),
        Subscribe(topic=name),
        Receive(topic=name),
        PublishWithin(topic=filter),
    ]
    return dice.choice(questions)


def test_the_database_counts_those_whom_the_engine_lets(fleet: Factory) -> None:
    dice, some_may = random.Random(20261121), 0
    for _ in range(4):
        roles = policy(fleet, dice)
        subjects = list(iterate_subjects(domain=fleet.domain, now=utc_now()))
        quarantine = Domain.objects.get(id=fleet.domain).quarantine_role_id
        assert quarantine is not None
        for asked in (question(dice) for _ in range(20)):
            wanted = {
                subject.device.id for subject in subjects if rule_that_lets(subject.policy, subject.principal, asked)
            }
            found = answered(fleet, roles, RoleId(quarantine), asked)
            assert found == wanted, asked
            some_may += bool(wanted)
    assert some_may > 20


def test_a_count_and_whether_there_is_one_agree_with_the_sample(fleet: Factory) -> None:
    role = policy(fleet, random.Random(3))[0]
    group = Group.objects.get(name="g1")
    members = set(group.members.filter(state=DeviceState.ACTIVE).values_list("id", flat=True))
    for condition in (Safe("attr.site"), negated(Safe("attr.site")), NEVER, Held(frozenset({role.id}))):
        everyone = Reached(domain=fleet.domain, condition=condition, now=utc_now())
        some = replace(everyone, among=Fellows(via="group", id=group.id))
        assert set(sample_reached(some, limit=100)) == members & set(sample_reached(everyone, limit=100))
        for reached in (everyone, some):
            ids = sample_reached(reached, limit=100)
            assert (count_reached(reached), any_reached(reached)) == (len(ids), bool(ids))


def test_bindings_at_work_are_those_that_reach_somebody(fleet: Factory) -> None:
    Binding.objects.all().delete()
    role = fleet.role("r")
    empty = Group.objects.create(id=new_id(), domain_id=fleet.domain, name="empty")
    one = Device.objects.filter(state=DeviceState.ACTIVE).order_by("auth_id").first()
    kind = one.device_type if one else None
    for target in ({"group": empty}, {"device": one}, {"device_type": kind}, {"whole_domain": True}):
        Binding.objects.create(id=new_id(), domain_id=fleet.domain, role_id=role.id, **target)
    reached = Reached(domain=fleet.domain, condition=Held(frozenset({role.id})), now=utc_now())
    assert [row.via for row in bindings_at_work(reached, role=role.id, limit=9)] == ["device_type", "domain", "device"]
    assert len(bindings_at_work(reached, role=role.id, limit=2)) == 2


def test_devices_are_counted_by_the_roles_that_they_have(fleet: Factory) -> None:
    dice = random.Random(11)
    for _ in range(6):
        roles = policy(fleet, dice)
        wanted = Counter(
            frozenset(bound.role_name for bound in subject.policy)
            for subject in iterate_subjects(domain=fleet.domain, now=utc_now())
            if subject.device.state is DeviceState.ACTIVE
        )
        names = {role.id: role.name for role in roles}
        found = count_by_roles(domain=fleet.domain, condition=ALWAYS, among=list(names), most=100, now=utc_now())
        assert {frozenset(names[id] for id in held): n for held, n in found.by_roles.items()} == wanted
        few = count_by_roles(domain=fleet.domain, condition=ALWAYS, among=list(names), most=1, now=utc_now())
        assert sum(few.by_roles.values()) + few.uncounted == sum(wanted.values())


@pytest.mark.parametrize("by_type_too", [False, True])
def test_devices_are_counted_by_the_roles_of_more_groups_than_a_column_has_bits(
    fleet: Factory, *, by_type_too: bool
) -> None:
    Binding.objects.all().delete()
    Device.objects.update(state=DeviceState.SUSPENDED)
    kind = DeviceType.objects.get(name="t0")
    roles = [fleet.role(f"r{n}") for n in range(65)]
    groups = [Group(id=new_id(), domain_id=fleet.domain, name=f"many{n}") for n in range(65)]
    Group.objects.bulk_create(groups)
    bound = [{"role_id": role.id, "group": group} for role, group in zip(roles, reversed(groups), strict=True)]
    bound += [{"role_id": roles[2].id, "device_type": kind}] if by_type_too else []
    Binding.objects.bulk_create(Binding(id=new_id(), domain_id=fleet.domain, **each) for each in bound)
    held: list[list[int]] = [[], [0], [0, 61, 62], [61], [62, 64], [62, 64]]
    for place, numbers in enumerate(held):
        device = Device.objects.order_by("auth_id")[place]
        device.state, device.kind, device.device_type = DeviceState.ACTIVE, PrincipalKind.DEVICE, kind
        device.save()
        device.groups.set([groups[64 - n] for n in numbers])
    found = count_by_roles(
        domain=fleet.domain, condition=ALWAYS, among=[role.id for role in roles], most=100, now=utc_now()
    )
    also = [2] if by_type_too else []
    assert found.by_roles == Counter(frozenset(roles[n].id for n in [*numbers, *also]) for numbers in held)
    assert found.uncounted == 0


def test_an_edit_of_a_role_is_foreseen_for_each_kind_of_device(fleet: Factory) -> None:
    Binding.objects.all().delete()
    base, shut = fleet.role("base", allow("a/#")), fleet.role("shut", allow("a/x", effect=Effect.DENY))
    group = Group.objects.get(name="g1")
    Binding.objects.create(id=new_id(), domain_id=fleet.domain, role_id=base.id, whole_domain=True)
    Binding.objects.create(id=new_id(), domain_id=fleet.domain, role_id=shut.id, group=group)
    members = group.members.filter(state=DeviceState.ACTIVE).count()
    everyone = Device.objects.filter(state=DeviceState.ACTIVE).count()
    effect = role_effect(role=base.id, rules=[allow("a/#"), allow("+/x")], now=utc_now())
    said = {
        cohort.others: (cohort.count, cohort.gained[0].filter, cohort.gained[0].without) for cohort in effect.cohorts
    }
    assert said == {(): (everyone - members, "+/x", ("a/x",)), ("shut",): (members, "+/x", ("a/x",))}
    assert (effect.touched, effect.unjudged) == (everyone, 0)
    assert role_effect(role=base.id, rules=[allow("a/#")], now=utc_now()).cohorts == ()
    narrower = role_effect(role=base.id, rules=[allow("a/y")], now=utc_now())
    lost = {cohort.others: cohort.lost[0].without for cohort in narrower.cohorts}
    assert lost == {(): ("a/y",), ("shut",): ("a/x", "a/y")}


def test_an_edit_of_the_quarantine_role_is_foreseen_for_those_in_quarantine(fleet: Factory) -> None:
    Binding.objects.all().delete()
    renew = fleet.role("renew", allow("renew"))
    Domain.objects.update(quarantine_role=renew.id)
    [cohort] = role_effect(role=renew.id, rules=[allow("renew"), allow("update")], now=utc_now()).cohorts
    barred = Device.objects.filter(state=DeviceState.QUARANTINED).count()
    assert (cohort.count, cohort.quarantined, [line.filter for line in cohort.gained]) == (barred, True, ["update"])


def allow(topic: str, effect: Effect = Effect.ALLOW) -> RuleSpec:
    return RuleSpec(effect=effect, actions=frozenset({Action.PUBLISH}), topic=topic)


def answered(fleet: Factory, roles: list[Role], quarantine: RoleId, asked: Question) -> set[DeviceId]:
    """The devices that the database finds, and of the unsure ones those whom the engine lets."""
    normal = who_could(roles, asked, domain="north")
    barred = who_could([role for role in roles if role.id == quarantine], asked, domain="north")
    found: set[DeviceId] = set()
    for answer, role in ((normal, None), (barred, quarantine)):
        sure = Reached(domain=fleet.domain, condition=answer.condition, quarantine_role=role, now=utc_now())
        ids = sample_reached(sure, limit=100)
        unsure = Reached(domain=fleet.domain, condition=answer.unsure, quarantine_role=role, now=utc_now())
        judged = [s for s in reached_subjects(unsure, limit=100) if rule_that_lets(s.policy, s.principal, asked)]
        found |= {*ids, *(subject.device.id for subject in judged)}
    return found


def test_the_database_reads_values_as_templates_do(fleet: Factory) -> None:
    everyone = list(iterate_subjects(domain=fleet.domain, now=utc_now()))
    active = [subject for subject in everyone if subject.device.state is DeviceState.ACTIVE]
    certificate = ("cert.cn", "cert.serial", "cert.san_uri", "cert.o", "cert.ou", "cert.san_dns")
    for name in ("client_id", "username", "domain", "device_type", "attr.site", "attr.none", *certificate):
        values = {subject.device.id: value_of(name, subject.principal) for subject in active}
        for leads in (False, True):
            safe = Reached(domain=fleet.domain, condition=Safe(name, leads), now=utc_now())
            wanted = {id for id, value in values.items() if not fault_of(value, leads=leads)}
            assert set(sample_reached(safe, limit=100)) == wanted, name
        for text in set(values.values()):
            same = Reached(domain=fleet.domain, condition=Same(((name,), "!"), (text + "!",)), now=utc_now())
            assert set(sample_reached(same, limit=100)) == {id for id, value in values.items() if value == text}, text
