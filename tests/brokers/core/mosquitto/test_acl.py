from __future__ import annotations

import random
from functools import partial
from types import ModuleType

import pytest

from acl.core.values import Action, BoundRule, Principal, Publish, Receive, Request, Retain, Shared, Subscribe
from brokers.core.mosquitto import acl as mosquitto_acl
from brokers.core.mosquitto import acl_patterns as mosquitto_acl_patterns
from brokers.core.mosquitto.acl import LIMITS, render
from brokers.core.mosquitto.acl_emulator import deliverable, emulate
from brokers.core.mosquitto.acl_file import parse, to_text
from brokers.core.mosquitto.topics import limited
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from tests.brokers.core.faithfulness import ODD, PLAIN, PUMP, Broker, Dice, unexplained
from tests.brokers.core.nats.test_policy import admitted, bound

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
FLEET = (
    bound("allow", "north/${client_id}/up/#", actions=PUBLISH),
    bound("allow", "north/${client_id}/down/#", actions=SUBSCRIBE),
    bound("allow", "north/all/#", actions=SUBSCRIBE),
    bound("deny", "north/+/up/secret"),
)


def person(name: str, client_id: str = "") -> Principal:
    return Principal(id=name, auth_id=name, client_id=client_id or name, username=name, domain="north")


def lines(rendering: Rendering) -> list[str]:
    return [line for line in rendering.artifact.split("\n")[1:] if line]


def deviations(*policy: BoundRule) -> list[tuple[str, str]]:
    found = render([admitted(*policy)]).deviations
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in found]


def test_many_users_are_warned_of() -> None:
    barred = [RenderSubject(principal=person(str(number)), policy=(), state=Standing.BARRED) for number in range(5_001)]
    assert render(barred).warnings == (mosquitto_acl.SLOW,)
    assert render(barred[1:]).warnings == ()


def test_each_user_has_a_section_with_its_denies_first() -> None:
    assert lines(render([admitted(*FLEET)])) == [
        "user pump",
        "topic deny north/+/up/secret",
        "topic read north/all/#",
        "topic read north/pump/down/#",
        "topic write north/pump/up/#",
    ]


def test_who_is_barred_is_refused_and_who_is_absent_is_not_there() -> None:
    barred = RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)
    absent = RenderSubject(principal=person("valve"), policy=(), state=Standing.ABSENT)
    assert lines(render([absent, barred])) == [
        *("user pump", "topic deny #", "topic deny $CONTROL/#", "topic deny $SYS/#"),
    ]


def test_nobody_who_is_not_named_may_do_anything() -> None:
    state = parse(render([admitted(bound("allow", "#"))]).artifact)
    assert emulate(state, PUMP, Publish(topic="a"))
    assert not emulate(state, person("stranger"), Publish(topic="a"))
    assert not emulate(state, person("stranger"), Receive(topic="a"))
    assert not emulate(state, person(""), Receive(topic="a"))


def test_every_subscription_is_granted_and_nothing_denied_is_delivered() -> None:
    state = parse(render([admitted(*FLEET)]).artifact)
    assert emulate(state, PUMP, Subscribe(topic="#"))
    assert emulate(state, PUMP, Subscribe(topic="north/#", group="g"))
    assert deliverable(state, PUMP, Subscribe(topic="#"), "north/all/x")
    assert not deliverable(state, PUMP, Subscribe(topic="#"), "north/valve/down/x")
    assert not deliverable(state, PUMP, Subscribe(topic="north/#", group="g"), "north/pump/up/x")
    assert (DeviationKind.SIGNALLING, "Every subscription is granted, and no more than is allowed delivered.") in LIMITS


def test_a_deny_of_one_action_becomes_narrower_allows_where_it_can() -> None:
    policy = (bound("allow", "a/#"), bound("deny", "a", actions=PUBLISH))
    assert lines(render([admitted(*policy)])) == ["user pump", "topic read a/#", "topic write a/+/#"]
    assert deviations(*policy) == []


def test_a_deny_of_one_action_that_meets_nothing_of_the_other_is_a_deny_line() -> None:
    policy = (bound("allow", "a/#", actions=PUBLISH), bound("deny", "a/+/x", actions=PUBLISH))
    assert lines(render([admitted(*policy)])) == ["user pump", "topic deny a/+/x", "topic write a/#"]
    assert deviations(*policy) == []


def test_a_deny_of_one_action_that_can_not_be_said_so_hits_both_and_is_declared() -> None:
    policy = (bound("allow", "a/#"), bound("deny", "a/x", actions=PUBLISH))
    assert lines(render([admitted(*policy)])) == ["user pump", "topic deny a/x", "topic readwrite a/#"]
    assert deviations(*policy) == [("a/#", "narrower")]


def test_what_can_not_be_expressed_is_left_out_or_denied_wholly() -> None:
    for rule in (
        bound("allow", "a", qos=frozenset({0})),
        bound("allow", "a", retain=Retain.ONLY, actions=PUBLISH),
        bound("allow", "a", shared=Shared.ONLY, actions=SUBSCRIBE),
        bound("allow", "a", shared=Shared.NEVER, actions=SUBSCRIBE),
        bound("allow", " a"),
        bound("allow", "a\ntopic readwrite b"),
    ):
        assert lines(render([admitted(rule)])) == []
        assert {kind for _, kind in deviations(rule)} == {"narrower"}
    assert lines(render([admitted(bound("deny", "a", qos=frozenset({0})))])) == ["user pump", "topic deny a"]


def test_a_deny_whose_topic_has_blanks_around_it_hits_more() -> None:
    policy = (bound("allow", "#"), bound("deny", " a/b "), bound("deny", "c "))
    assert lines(render([admitted(*policy)])) == ["user pump", "topic deny +", "topic deny +/+", "topic readwrite #"]
    assert [kind for _, kind in deviations(*policy)] == ["narrower", "narrower"]


@pytest.mark.parametrize("name", ["a\nuser b", "a\ntopic readwrite #", " a", "a\t", ""])
def test_a_name_that_the_file_can_not_hold_gets_nothing_and_injects_nothing(name: str) -> None:
    rendering = render([admitted(bound("allow", "a"), principal=person(name))])
    assert lines(rendering) == []
    assert [deviation.kind for deviation in rendering.deviations] == [DeviationKind.NARROWER]


def test_placeholders_of_the_file_are_plain_text_in_a_users_own_lines() -> None:
    state = parse(render([admitted(bound("allow", "a/%u"))]).artifact)
    assert emulate(state, PUMP, Publish(topic="a/%u"))
    assert not emulate(state, PUMP, Publish(topic="a/pump"))


def test_what_mosquitto_keeps_to_itself_can_not_be_published() -> None:
    rules = (bound("allow", "$SYS/#"), bound("allow", "$CONTROL/#"), bound("allow", "$other/#"))
    state = parse(render([admitted(*rules)]).artifact)
    asked = {topic: emulate(state, PUMP, Publish(topic=topic)) for topic in ("$SYS/x", "$CONTROL/x", "$other/x")}
    assert asked == {"$SYS/x": False, "$CONTROL/x": False, "$other/x": True}
    assert [limited(Publish(topic=topic)) for topic in asked] == [True, True, False]
    assert emulate(state, PUMP, Receive(topic="$SYS/x"))


def patterned(*subjects: RenderSubject) -> Rendering:
    return mosquitto_acl_patterns.render(subjects)


def fleet(*names: str) -> list[RenderSubject]:
    return [admitted(*FLEET, principal=person(name)) for name in names]


PATTERNS = [
    "pattern deny north/+/up/secret",
    "pattern read north/%u/down/#",
    "pattern write north/%u/up/#",
    "pattern read north/all/#",
]


def test_what_all_may_do_stands_once_however_many_they_are() -> None:
    assert lines(patterned(*fleet("a", "b", "c"))) == PATTERNS
    assert patterned(*fleet("a", "b")).artifact == patterned(*fleet(*(f"d{number}" for number in range(50)))).artifact
    assert patterned(*fleet("a", "b")).warnings == (mosquitto_acl_patterns.STRANGERS,)


def test_who_may_not_do_what_a_pattern_says_is_kept_from_it() -> None:
    quarantined = admitted(bound("allow", "fix/${client_id}"), principal=person("q"))
    barred = RenderSubject(principal=person("x"), policy=(), state=Standing.BARRED)
    absent = RenderSubject(principal=person("y"), policy=(), state=Standing.ABSENT)
    rendering = patterned(*fleet("a", "b", "c"), quarantined, barred, absent)
    assert [line for line in lines(rendering) if line.startswith(("pattern", "user"))] == [
        *(*PATTERNS, "user q", "user x", "user y"),
    ]
    state = parse(rendering.artifact)
    for name in ("q", "x", "y"):
        assert not emulate(state, person(name), Publish(topic=f"north/{name}/up/1"))
        assert not emulate(state, person(name), Receive(topic="north/all/1"))
    assert emulate(state, person("q"), Publish(topic="fix/q"))
    assert emulate(state, person("a"), Publish(topic="north/a/up/1"))
    assert not emulate(state, person("a"), Publish(topic="north/b/up/1"))


def test_a_users_own_allow_does_not_escape_a_deny_that_stands_as_a_pattern() -> None:
    more = admitted(*FLEET, bound("allow", "north/#", actions=PUBLISH), principal=person("z"))
    rendering = patterned(*fleet("a", "b", "c"), more)
    assert "pattern deny north/+/up/secret" in lines(rendering)
    assert not emulate(parse(rendering.artifact), person("z"), Publish(topic="north/z/up/secret"))
    assert emulate(parse(rendering.artifact), person("z"), Publish(topic="north/b/up/1"))


def test_who_could_be_harmed_by_being_kept_from_a_pattern_prevents_it() -> None:
    reader = admitted(bound("allow", "north/+/up/#", actions=SUBSCRIBE), principal=person("app"))
    rendering = patterned(*fleet("a", "b", "c"), reader)
    assert "pattern write north/%u/up/#" not in lines(rendering)
    assert emulate(parse(rendering.artifact), person("app"), Receive(topic="north/app/up/1"))
    assert not emulate(parse(rendering.artifact), person("app"), Publish(topic="north/app/up/1"))


def test_a_client_id_is_never_taken_for_identity() -> None:
    subjects = [admitted(*FLEET, principal=person(name, client_id=f"c-{name}")) for name in ("a", "b", "c")]
    rendering = patterned(*subjects)
    assert "%c" not in rendering.artifact
    state = parse(rendering.artifact)
    assert emulate(state, person("a", "c-a"), Publish(topic="north/c-a/up/1"))
    assert not emulate(state, person("a", "c-b"), Publish(topic="north/c-b/up/1"))


def test_a_literal_that_mosquitto_would_fill_in_is_never_a_pattern() -> None:
    rules = (bound("allow", "a/x%u"), bound("allow", "a/%c"), bound("allow", "b/#"))
    rendering = patterned(*(admitted(*rules, principal=person(name)) for name in ("a", "b", "c")))
    assert [line for line in lines(rendering) if line.startswith("pattern")] == ["pattern readwrite b/#"]
    state = parse(rendering.artifact)
    asked = {topic: emulate(state, person("a"), Publish(topic=topic)) for topic in ("a/xa", "a/a", "a/x%u", "a/%c")}
    assert asked == {"a/xa": False, "a/a": False, "a/x%u": True, "a/%c": True}


@pytest.mark.parametrize("name", ["a/b", "+", "#", "$s", "%u", "%c", " a", "a\nuser b"])
def test_a_name_that_could_inject_gets_no_more_than_its_own(name: str) -> None:
    rule = bound("allow", "${auth_id}/#")
    named = admitted(rule, principal=person(name))
    others = [admitted(rule, principal=person(other)) for other in ("a", "b", "c", "d")]
    state = parse(patterned(*others, named).artifact)
    own = name in {"%u", "%c"}
    for whole_levels in (False, True):
        say = partial(emulate, state, person(name), whole_levels=whole_levels)
        assert say(Publish(topic=f"{name}/x".replace("+", "x").replace("#", "x"))) is own
        assert not any(say(Publish(topic=topic)) for topic in ("a/b/x", "b/x", "x/x", "$s/x"))


def test_the_patterns_declare_that_they_hold_for_strangers() -> None:
    assert (DeviationKind.WIDER, mosquitto_acl_patterns.STRANGERS) in mosquitto_acl_patterns.CAPABILITIES.limits
    assert not any(kind is DeviationKind.WIDER for kind, _ in mosquitto_acl.CAPABILITIES.limits)


@pytest.mark.parametrize("compiler", [mosquitto_acl, mosquitto_acl_patterns])
def test_what_is_rendered_reads_back_whatever_the_order(compiler: ModuleType) -> None:
    dice = Dice(roll=random.Random(3))
    policy = dice.policy()
    subjects = [admitted(*policy, principal=person(name)) for name in ("b", "a", "\u00e9", "a b")]
    subjects.append(RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED))
    artifact = compiler.render(subjects).artifact
    assert artifact == compiler.render(list(reversed(subjects))).artifact
    assert to_text(parse(artifact)) == artifact


@pytest.mark.parametrize(("levels", "seed", "patterns"), [(PLAIN, 31, False), (ODD, 32, False), (ODD, 33, True)])
def test_engine_and_broker_agree_or_the_deviation_is_declared(
    levels: tuple[str, ...], seed: int, *, patterns: bool
) -> None:
    dice = Dice(roll=random.Random(seed), levels=levels)
    for _ in range(85):
        policy = dice.policy()
        others = [admitted(*policy, principal=person(name)) for name in ("b", "c")] if patterns else []
        compiler = mosquitto_acl_patterns if patterns else mosquitto_acl
        rendering = compiler.render([admitted(*policy), *others])
        state = parse(rendering.artifact)
        broker = Broker(
            allows=partial(emulate, state, PUMP),
            delivers=partial(deliverable, state, PUMP),
            deviations=rendering.deviations,
            excuses=limited,
        )
        for _ in range(6):
            request = dice.request(policy)
            fault = unexplained(policy, request, broker)
            assert not fault or _is_only_granted(fault, request), (fault, policy, rendering.artifact)


def _is_only_granted(fault: str, request: Request) -> bool:
    """What the limits declare: a subscription is granted that brings nothing."""
    return fault.startswith("signalling") and isinstance(request, Subscribe)


def test_a_message_is_delivered_over_a_shared_subscription_if_it_may_be_read() -> None:
    state = parse(render([admitted(bound("allow", "a/+", actions=SUBSCRIBE))]).artifact)
    wanted = Subscribe(topic="a/#")._replace(group="g")
    assert deliverable(state, PUMP, wanted, "a/b")
    assert not deliverable(state, PUMP, wanted, "a/b/c")
