from __future__ import annotations

import random
from dataclasses import replace
from uuid import NAMESPACE_OID, uuid5

import pytest

from acl.core.values import Action, BoundRule, Effect, Principal, Publish, Receive, Request, Rule, RuleId, Subscribe
from brokers.core.nats.emulator import deliverable, emulate, may_subscribe
from brokers.core.nats.policy import (
    NOTHING,
    NatsPermissions,
    parse,
    permissions,
    refuses_client_id,
    render,
    subjects_of,
    unusable,
)
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from tests.brokers.core.faithfulness import ODD, PLAIN, PUMP, Broker, Dice, unexplained

BOTH = frozenset({Action.PUBLISH, Action.SUBSCRIBE})


def bound(effect: str, topic: str, **conditions: object) -> BoundRule:
    facts: dict[str, object] = {"actions": BOTH, **conditions}
    named = RuleId(uuid5(NAMESPACE_OID, effect + topic))
    return BoundRule(rule=Rule(id=named, effect=Effect(effect), topic=topic, **facts), role_name="pump")  # type: ignore[arg-type]


def admitted(*policy: BoundRule, principal: Principal = PUMP) -> RenderSubject:
    return RenderSubject(principal=principal, policy=policy, state=Standing.ADMITTED)


def deviations(*policy: BoundRule) -> list[tuple[str, str]]:
    found = render([admitted(*policy)]).deviations
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in found]


@pytest.mark.parametrize(
    ("filter", "subjects"),
    [
        ("foo/bar", ("foo.bar",)),
        ("/foo", ("/.foo",)),
        ("foo//bar", ("foo./.bar",)),
        ("foo/", ("foo./",)),
        ("/", ("/./",)),
        ("a.b/c", ("a//b.c",)),
        ("foo/+/bar", ("foo.*.bar",)),
        ("foo/#", ("foo", "foo.>")),
        ("#", (">",)),
        ("/#", ("/", "/.>")),
        ("+/+", ("*.*",)),
    ],
)
def test_filters_become_subjects(filter: str, subjects: tuple[str, ...]) -> None:
    assert subjects_of(filter) == subjects


@pytest.mark.parametrize("level", ["*", ">", "a b", "\t", "\x7f", "*x", "x>", "a\u00a0b", "\u2028", "a\u3000"])
def test_what_nats_would_read_otherwise_is_unusable(level: str) -> None:
    assert unusable(level)


def test_quickstart_policy() -> None:
    policy = (
        bound("allow", "${domain}/${client_id}/up/#", actions=frozenset({Action.PUBLISH})),
        bound("allow", "${domain}/${client_id}/down/#", actions=frozenset({Action.SUBSCRIBE})),
        bound("allow", "${domain}/all/#", actions=frozenset({Action.SUBSCRIBE})),
    )
    assert permissions(admitted(*policy)) == NatsPermissions(
        publish_allow=("north.pump.up", "north.pump.up.>"),
        publish_deny=(),
        subscribe_allow=("north.all", "north.all.>", "north.pump.down", "north.pump.down.>"),
        subscribe_deny=(),
    )
    assert deviations(*policy) == []


def test_a_direction_without_allow_denies_everything() -> None:
    only = permissions(admitted(bound("allow", "a", actions=frozenset({Action.PUBLISH}))))
    assert (only.subscribe_allow, only.subscribe_deny) == ((), (">",))
    assert permissions(admitted()) == NOTHING
    assert not emulate(NOTHING, Publish(topic="a"))
    assert not emulate(NOTHING, Subscribe(topic="a"))


@pytest.mark.parametrize("state", [Standing.BARRED, Standing.ABSENT])
def test_who_is_not_admitted_gets_nothing(state: Standing) -> None:
    subject = RenderSubject(principal=PUMP, policy=(bound("allow", "a"),), state=state)
    assert permissions(subject) == NOTHING


def test_a_grant_that_begins_with_a_wildcard_is_kept_from_internal_subjects_and_declared_wider() -> None:
    granted = permissions(admitted(bound("allow", "#")))
    assert {"$JS.>", "$SYS.>", "$MQTT.>"} <= set(granted.publish_deny)
    assert {"$JS.>", "$SYS.>"} <= set(granted.subscribe_deny)
    assert "$MQTT.>" not in granted.subscribe_deny  # it would end every subscription of QoS 1 and 2
    assert deviations(bound("allow", "#")) == [("#", "wider")]
    assert not emulate(granted, Publish(topic="$MQTT/msgs/a"))
    assert not may_subscribe(granted, "$MQTT/#")
    assert not may_subscribe(granted, "$share/g/a")


def test_an_allow_that_ends_in_plus_does_not_admit_everything_below() -> None:
    granted = permissions(admitted(bound("allow", "a"), bound("allow", "a/+")))
    assert granted.subscribe_deny == ("a.*.>",)
    assert not deliverable(granted, "a/#", "a/b/c")
    assert deliverable(granted, "a/+", "a/b")
    assert permissions(admitted(bound("allow", "a/+"))).subscribe_deny == ()  # a/# asks for a as well


def test_an_allow_that_ends_in_plus_is_left_out_beside_a_part_of_what_is_below() -> None:
    policy = (bound("allow", "a"), bound("allow", "a/+"), bound("allow", "a/b/c"))
    assert permissions(admitted(*policy)).subscribe_allow == ("a", "a.b.c")
    assert deviations(*policy) == [("a/+", "narrower")]


def test_no_deny_of_ours_ends_the_subscriptions_of_qos_1_and_2() -> None:
    assert permissions(admitted(bound("allow", "+"))).subscribe_allow == ()
    assert ("+", "narrower") in deviations(bound("allow", "+"))
    wide = (bound("allow", "a"), bound("deny", "+/+/#", actions=frozenset({Action.SUBSCRIBE})))
    assert deviations(*wide) == [("+/+/#", "narrower"), ("+/+/#", "signalling")]
    granted = permissions(admitted(*wide))
    assert [may_subscribe(granted, "a", qos=qos) for qos in (0, 1, 2)] == [True, False, False]


def test_what_a_deny_is_widened_to_is_what_is_declared() -> None:
    wide = (bound("allow", "a"), bound("deny", "*/x y/#", actions=frozenset({Action.SUBSCRIBE})))
    granted = permissions(admitted(*wide))
    assert [may_subscribe(granted, "a", qos=qos) for qos in (0, 1, 2)] == [True, False, False]
    assert len([found for found in render([admitted(*wide)]).deviations if "QoS 1 and 2" in found.why]) == 1


def test_a_deny_of_one_level_hits_the_parent_that_nats_takes_slash_hash_to_have() -> None:
    policy = (bound("allow", "#"), bound("deny", "+", actions=frozenset({Action.SUBSCRIBE})))
    granted = permissions(admitted(*policy))
    assert not may_subscribe(granted, "/#")
    assert may_subscribe(granted, "/+/#")
    assert ("+", "narrower") in deviations(*policy)


def test_conditions_leave_allows_out_and_make_denies_unconditional() -> None:
    assert deviations(bound("allow", "a", qos=frozenset({0}))) == [("a", "narrower")]
    assert permissions(admitted(bound("allow", "a", qos=frozenset({0})))) == NOTHING
    denied = (bound("allow", "a/#"), bound("deny", "a/b", qos=frozenset({2})))
    assert permissions(admitted(*denied)).publish_deny == ("a.b",)
    assert ("a/b", "narrower") in deviations(*denied)


def test_a_void_allow_is_left_out_and_a_void_deny_widened() -> None:
    policy = (bound("allow", "a/#"), bound("allow", "${attr.site}/x"), bound("deny", "a/${attr.site}/b"))
    granted = permissions(admitted(*policy))
    assert granted.publish_allow == ("a", "a.>")
    assert granted.publish_deny == ("a.*.b",)


def test_unusable_levels_narrow_both_ways() -> None:
    policy = (bound("allow", "a/#"), bound("allow", "b/*"), bound("deny", "a/>/c"))
    granted = permissions(admitted(*policy))
    assert granted.publish_allow == ("a", "a.>")
    assert granted.publish_deny == ("a.*.c",)
    assert ("b/*", "narrower") in deviations(*policy)
    assert ("a/>/c", "narrower") in deviations(*policy)


def test_a_blank_of_unicode_never_gets_into_a_permission() -> None:  # seen with 2.15.1: such a deny has no effect
    policy = (bound("allow", "a/#"), bound("deny", "a/x\u00a0y"), bound("allow", "b/\u3000"))
    granted = permissions(admitted(*policy))
    assert granted.subscribe_allow == ("a", "a.>")
    assert granted.subscribe_deny == ("a.*",)
    careless = NatsPermissions(subscribe_allow=("a.>",), subscribe_deny=("a.x\u00a0y",))
    assert may_subscribe(careless, "a/x\u00a0y")
    assert deliverable(careless, "a/+", "a/x\u00a0y")


def test_a_name_with_a_star_in_it_gets_no_filter() -> None:  # seen with 2.15.1: QoS 1 to c/*.15/# brings c/c/d
    principal = Principal(id="1", auth_id="*.15", client_id="*.15", username="*.15", domain="north")
    assert permissions(admitted(bound("allow", "c/${auth_id}/#"), principal=principal)) == NOTHING


REFUSED = ["a.b", "a*", ">", "a b", "a\tb", "a\nb", "a\fb", "a\rb"]  # seen with 2.15.1, which took the others


@pytest.mark.parametrize("name", REFUSED)
def test_who_can_not_get_in_by_its_client_id_is_told(name: str) -> None:
    principal = Principal(id="1", auth_id=name, client_id=name, username=name, domain="north")
    subject = admitted(bound("allow", "a"), principal=principal)
    assert refuses_client_id(name)
    [told] = render([subject]).deviations
    assert (told.kind, told.principals) == (DeviationKind.NARROWER, (name,))
    assert "refuses its client id" in told.why
    assert render([replace(subject, state=Standing.BARRED)]).deviations == ()


@pytest.mark.parametrize("name", ["a/b", "$SYS", "a\u00a0b", "\u00e9", "a\x0bb", "a+b", "a#", "x" * 300])
def test_other_client_ids_are_taken(name: str) -> None:
    assert not refuses_client_id(name)


def test_too_many_subjects_grant_nothing() -> None:
    policy = tuple(bound("allow", f"{number}/{'x' * 60_000}") for number in range(5))
    assert permissions(admitted(*policy)) == NOTHING
    assert {kind for _, kind in deviations(*policy)} == {"narrower"}


def test_what_is_rendered_is_what_is_parsed_whatever_the_order() -> None:
    dice = Dice(roll=random.Random(1))
    subjects = [
        admitted(*dice.policy(), principal=Principal(id=name, auth_id=name, client_id=name, username=name, domain="d"))
        for name in ("b", "a", "\u00e9")
    ]
    rendering = render(subjects)
    assert rendering.artifact == render(reversed(subjects)).artifact
    assert parse(rendering.artifact) == {subject.principal.auth_id: permissions(subject) for subject in subjects}


def test_deviations_count_principals_and_name_a_few() -> None:
    rule = bound("allow", "#")
    names = [f"d{number:02}" for number in range(25)]
    people = [Principal(id=name, auth_id=name, client_id=name, username=name, domain="d") for name in names]
    (deviation,) = render(admitted(rule, rule, principal=person) for person in people).deviations
    assert deviation.kind is DeviationKind.WIDER
    assert deviation.principal_count == 25
    assert deviation.principals == tuple(names[:10])


@pytest.mark.parametrize(("levels", "seed"), [(PLAIN, 1), (PLAIN, 2), (ODD, 3), (ODD, 4)])
def test_engine_and_server_agree_or_the_deviation_is_declared(levels: tuple[str, ...], seed: int) -> None:
    dice = Dice(roll=random.Random(seed), levels=levels)
    for _ in range(400):
        policy = dice.policy()
        rendering = render([admitted(*policy)])
        granted = parse(rendering.artifact)["pump"]
        broker = Broker(
            allows=lambda request, granted=granted: emulate(granted, request),  # type: ignore[misc]
            delivers=lambda request, name, granted=granted: deliverable(granted, _spelled(request), name),  # type: ignore[misc]
            deviations=rendering.deviations,
            together=True,
            excuses=lambda request, policy=policy: _excuses(policy, request),  # type: ignore[misc]
        )
        for _ in range(8):
            request = dice.request(policy)
            assert unexplained(policy, request, broker) == "", (policy, granted)


def _spelled(request: Subscribe) -> str:
    return request.topic if request.group is None else f"$share/{request.group}/{request.topic}"


def _excuses(policy: tuple[BoundRule, ...], request: Request) -> bool:
    """Shared subscriptions, unusable levels; and a deny of nearly everything, which ends QoS 1 and 2, as declared."""
    if any(map(unusable, request.topic.split("/"))):
        return True
    if not isinstance(request, Subscribe):
        return False
    ended = [rule for rule in policy if rule.rule.effect is Effect.DENY and rule.rule.topic[0] in "+#*>"]
    return request.group is not None or (request.qos > 0 and bool(ended))


def test_receive_is_withheld_under_a_deny() -> None:
    granted = permissions(admitted(bound("allow", "a/#"), bound("deny", "a/secret/#")))
    assert may_subscribe(granted, "a/#")
    assert deliverable(granted, "a/#", "a/open")
    assert not deliverable(granted, "a/#", "a/secret")
    assert not emulate(granted, Receive(topic="a/secret/x"))
