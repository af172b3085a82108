"""What every compile target has to keep, on fleets with hostile names."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest

from acl.core.values import Action, Effect, Principal, Publish, Receive, Request, Rule, RuleId, Subscribe
from brokers.core.mosquitto import dynsec_emulator
from brokers.core.mosquitto.acl_patterns import STRANGERS
from brokers.core.mosquitto.dynsec_state import DynsecState
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.targets import MOSQUITTO_DYNSEC, TARGETS, Target
from kernel.core.errors import Invalid
from tests.brokers.core.generated import Asker, Fleet, Member, fleet, told
from tests.brokers.core.judging import Court
from tests.brokers.core.trials import shrunk, trial

FLEETS = 25
ANY: tuple[Request, ...] = (
    *(Publish(topic=topic, qos=qos) for topic in ("a", "a/b", "$SYS/x", "north/pump") for qos in (0, 1)),
    *(Receive(topic=topic) for topic in ("a", "a/b", "$SYS/x", "north/pump")),
    *(Subscribe(topic=topic) for topic in ("a", "#", "+/#", "a/#", "$SYS/#", "north/pump/#")),
    Subscribe(topic="a", group="g"),
)


@pytest.fixture(params=list(TARGETS.values()), ids=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    return found


def fleets(seed: str, *, count: int = FLEETS) -> list[Fleet]:
    roll = random.Random(seed)
    return [fleet(roll) for _ in range(count)]


def shuffled(made: Fleet, roll: random.Random) -> list[RenderSubject]:
    """The same fleet, told in another order of members and of rules."""
    subjects = [
        replace(subject, policy=tuple(roll.sample(subject.policy, len(subject.policy)))) for subject in made.subjects()
    ]
    return roll.sample(subjects, len(subjects))


def test_the_same_fleet_makes_the_same_octets_in_whatever_order_it_is_told(target: Target) -> None:
    roll = random.Random("order")
    for made in fleets("order"):
        rendering = target.render(made.subjects())
        again = target.render(shuffled(made, roll))
        assert again.artifact == rendering.artifact
        assert {each.id for each in again.deviations} == {each.id for each in rendering.deviations}


def test_what_was_rendered_is_read_back_and_written_the_same(target: Target) -> None:
    for made in fleets("round trip"):
        artifact = target.render(made.subjects()).artifact
        assert target.write(target.parse(artifact)) == artifact
        assert target.parse(target.write(target.parse(artifact))) == target.parse(artifact)


@pytest.mark.parametrize("text", ["}{ nonsense", '{"a": 1}', "\x00", "[1, 2", "nobody: \n\t?"])
def test_what_is_not_the_format_is_refused(target: Target, text: str) -> None:
    with pytest.raises(Invalid):
        target.parse(text)


def test_a_broker_that_holds_nothing_allows_nothing(target: Target) -> None:
    state = target.parse(target.render([]).artifact)
    [member] = fleets("nothing", count=1)[0].members[:1]
    assert not [request for request in ANY if _passes(target, state, member, request)]


def test_who_has_no_policy_is_barred_or_absent_or_unknown_gets_nothing(target: Target) -> None:
    roll = random.Random("outside")
    for made in fleets("outside"):
        inside = [member for member in made.members if member.state is Standing.ADMITTED]
        others = _outside(made)
        known = Fleet(roles=made.roles, members=(*inside, *others[:-1]))
        if (DeviationKind.WIDER, STRANGERS) in target.capabilities.limits:
            others = others[:-1]  # it says that who is unknown gets something
        state = target.parse(target.render(known.subjects()).artifact)
        asker = Asker(roll=roll, fleet=known)
        for other in others:
            near = [asker.request(member) for member in made.members for _ in range(4)]
            passed = [request for request in (*ANY, *near) if _passes(target, state, other, request)]
            assert not passed, (other, passed[0])


def _passes(target: Target, state: object, member: Member, request: Request) -> bool:
    """Whether the member gets something by it: not by a subscription that everybody is granted."""
    told = target.grants_all and isinstance(request, Subscribe)
    return not told and target.emulate(state, member.principal, request)


def test_who_takes_the_client_id_of_another_may_do_no_more_than_before(target: Target) -> None:
    """A client chooses its client id: policy may go by it only where the broker ties it to who is proved."""
    roll = random.Random("borrowed")
    for made in fleets("borrowed"):
        court, asker = Court(target, made), Asker(roll=roll, fleet=made)
        ids = sorted({member.principal.client_id for member in made.members} | {"x", "+", "a/b"})
        for (number, member), client_id in product(enumerate(made.members), ids):
            borrower = replace(member, principal=replace(member.principal, client_id=client_id))
            for near in (borrower, roll.choice(made.members)):
                request = asker.request(near)
                names = asker.names(request.topic) if isinstance(request, Subscribe) else ()
                fault = court.judge(number, request, names, client_id=client_id).fault
                assert not fault.startswith(("wider", "signalling")), (client_id, told(made))


def _outside(made: Fleet) -> list[Member]:
    """Four who get nothing, with all roles and a client id that a member's rules may be about; the last is unknown."""
    roles, client_id = tuple(name for name, _ in made.roles), made.members[0].principal.auth_id
    people = [
        replace(made.members[0].principal, id=name, auth_id=name, username=name, client_id=client_id)
        for name in ("no policy", "barred", "absent", "unknown")
    ]
    return [
        Member(principal=people[0], roles=()),
        Member(principal=people[1], roles=roles, state=Standing.BARRED),
        Member(principal=people[2], roles=roles, state=Standing.ABSENT),
        Member(principal=people[3], roles=()),
    ]


def test_a_deviation_names_a_rule_and_principals_that_there_are(target: Target) -> None:
    for made in fleets("deviations"):
        rules = {rule.id for _, rules in made.roles for rule in rules}
        people = {member.principal.auth_id for member in made.members if member.state is Standing.ADMITTED}
        for deviation in target.render(made.subjects()).deviations:
            assert deviation.rule.rule.id in rules
            assert deviation.principals
            assert set(deviation.principals) <= people
            assert len(deviation.principals) <= deviation.principal_count <= len(people)
            assert deviation.why.endswith(".")


@pytest.mark.parametrize("hostile", [True, False], ids=["hostile", "plain"])
def test_engine_and_broker_agree_or_the_deviation_is_declared(target: Target, hostile: bool) -> None:
    found = trial(target, seed=f"suite {hostile}", pairs=300, hostile=hostile)
    if found.first is not None:
        case = shrunk(target, found.first)
        pytest.fail(f"{case.fault_on(target)}\n{case.told()}")
    assert found.counts["agreed"] > 150


@pytest.mark.parametrize(
    "denied",
    [
        *("a" + "/b" * depth for depth in (9, 10, 127, 128, 129, 199, 200, 201, 300)),
        *("a" + "/b" * depth + "/#" for depth in (10, 127, 128, 129, 199, 200, 201)),
        *("a/" + "b" * length for length in (255, 256, 257, 1_024, 4_096, 65_533)),
        "a/" + "\u00e9" * 32_766,
    ],
    ids=lambda text: f"{text.count('/')} slashes, {len(text)} characters",
)
def test_a_deny_is_never_lost_to_its_depth_or_length(target: Target, denied: str) -> None:
    name = denied.removesuffix("/#")
    rules = tuple(
        Rule(id=RuleId(UUID(int=number)), effect=effect, actions=frozenset(Action), topic=topic)
        for number, (effect, topic) in enumerate([(Effect.ALLOW, "a/#"), (Effect.ALLOW, name), (Effect.DENY, denied)])
    )
    principal = Principal(id="1", auth_id="pump", client_id="pump", username="pump", domain="north")
    member = Member(principal=principal, roles=("pump",))
    court = Court(target, Fleet(roles=(("pump", rules),), members=(member,)))
    around = [name, name[:-1], f"{name}/b"[:65_535]]
    for topic in [text for text in around if len(text.encode()) <= 65_535 and not text.endswith("/")]:
        for request in (Publish(topic=topic), Receive(topic=topic), Subscribe(topic=topic), Subscribe(topic="a/#")):
            fault = court.judge(0, request, around).fault
            assert not fault.startswith(("wider", "signalling")), fault[:100]


def _forgetful(effect: Effect) -> Target:
    """A target that loses rules of that effect and says nothing."""

    def render(subjects: object) -> Rendering:
        assert isinstance(subjects, tuple)
        left = [
            replace(subject, policy=tuple(bound for bound in subject.policy if bound.rule.effect is not effect))
            for subject in subjects
        ]
        return MOSQUITTO_DYNSEC.render(left)

    return replace(MOSQUITTO_DYNSEC, renders=render)


@pytest.mark.parametrize(("lost", "kinds"), [(Effect.DENY, {"wider", "signalling"}), (Effect.ALLOW, {"narrower"})])
def test_a_compiler_that_loses_a_rule_is_found_out_by_a_small_case(lost: Effect, kinds: set[str]) -> None:
    forgetful = _forgetful(lost)
    found = trial(forgetful, seed="forgetful", pairs=1_000)
    assert found.first is not None
    case = shrunk(forgetful, found.first)
    assert case.fault_on(forgetful).partition(":")[0] in kinds
    assert len(case.fleet.members) == 1
    assert sum(len(rules) for _, rules in case.fleet.roles) <= 2


def test_a_target_that_believes_the_client_id_is_found_out() -> None:
    def emulate(state: DynsecState, principal: Principal, request: Request) -> bool:
        return dynsec_emulator.emulate(state, principal.client_id, request)

    principals = [
        Principal(id=name, auth_id=name, client_id=name, username=name, domain="north") for name in ("pump", "valve")
    ]
    rule = Rule(id=RuleId(UUID(int=1)), effect=Effect.ALLOW, actions=frozenset(Action), topic="${client_id}/#")
    members = tuple(Member(principal=principal, roles=("pump",)) for principal in principals)
    court = Court(replace(MOSQUITTO_DYNSEC, emulate=emulate), Fleet(roles=(("pump", (rule,)),), members=members))
    assert court.judge(0, Publish(topic="valve/x"), ()).fault == ""
    assert court.judge(0, Publish(topic="valve/x"), (), client_id="valve").fault.startswith("wider")


def test_a_leak_that_is_declared_of_another_rule_is_no_excuse() -> None:
    def render(subjects: object) -> Rendering:
        rendering = _forgetful(Effect.DENY).render(subjects)  # type: ignore[arg-type]
        kinds = [replace(each, kind=DeviationKind.WIDER) for each in rendering.deviations]
        return replace(rendering, deviations=tuple(kinds))

    found = trial(replace(MOSQUITTO_DYNSEC, renders=render), seed="forgetful", pairs=1_000)
    assert found.counts["unexplained"] > 0


def test_an_error_of_a_compiler_is_a_finding() -> None:
    def fail(_subjects: object) -> Rendering:
        raise ValueError("no")

    broken = replace(MOSQUITTO_DYNSEC, renders=fail)
    found = trial(broken, seed=1, pairs=10)
    assert found.counts["unexplained"] == found.counts.total()
    assert found.first is not None
    assert found.first.fault_on(broken) == "error: ValueError: no"


def test_the_same_seed_asks_the_same() -> None:
    assert trial(MOSQUITTO_DYNSEC, seed=5, pairs=200) == trial(MOSQUITTO_DYNSEC, seed=5, pairs=200)


def test_every_target_is_registered_under_its_own_name() -> None:
    assert all(name == target.name for name, target in TARGETS.items())
