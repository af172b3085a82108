from __future__ import annotations

import random

import pytest

from acl.core.values import Action, BoundRule, Effect, Principal, Publish, Receive, Request, Shared, Subscribe
from brokers.core.mosquitto import dynsec_21_emulator as mosquitto_dynsec_21_emulator
from brokers.core.mosquitto.dynsec import desired_state, render
from brokers.core.mosquitto.dynsec_emulator import contains, deliverable, emulate, may_receive, may_send, may_subscribe
from brokers.core.mosquitto.dynsec_state import Acl, AclType, DynsecState, own_roles, parse, to_artifact
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from tests.brokers.core.faithfulness import ODD, PLAIN, PUMP, Broker, Dice, unexplained
from tests.brokers.core.nats.test_policy import admitted, bound

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
QUICKSTART = (
    bound("allow", "${domain}/${client_id}/up/#", actions=PUBLISH),
    bound("allow", "${domain}/${client_id}/down/#", actions=SUBSCRIBE),
    bound("allow", "${domain}/all/#", actions=SUBSCRIBE),
)


def acls(state: DynsecState, role: str) -> set[tuple[str, str, bool]]:
    return {(acl.kind.value, acl.topic, acl.allow) for acl in state.roles[role]}


def deviations(*policy: BoundRule) -> list[tuple[str, str]]:
    found = render([admitted(*policy)]).deviations
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in found]


def test_rules_without_placeholders_are_shared_and_the_others_are_the_principals_own() -> None:
    state = desired_state([admitted(*QUICKSTART)])
    assert set(state.roles) == {"gh.r.pump.allow", "gh.r.pump.deny", "gh.d.pump.allow"}
    assert acls(state, "gh.r.pump.deny") == set()
    assert acls(state, "gh.r.pump.allow") == {
        ("publishClientReceive", "north/all/#", True),
        ("subscribePattern", "north/all/#", True),
        ("subscribePattern", "$share/+/north/all/#", True),
    }
    assert acls(state, "gh.d.pump.allow") == {
        ("publishClientSend", "north/pump/up/#", True),
        ("publishClientReceive", "north/pump/down/#", True),
        ("subscribePattern", "north/pump/down/#", True),
        ("subscribePattern", "$share/+/north/pump/down/#", True),
    }
    client = state.clients["pump"]
    assert client.roles == (("gh.d.pump.allow", -1), ("gh.r.pump.allow", -1), ("gh.r.pump.deny", 300))
    assert (client.mark, client.client_id, client.disabled) == ("", "pump", False)
    assert deviations(*QUICKSTART) == []


def test_defaults_deny_everything_but_unsubscribing() -> None:
    defaults = desired_state([]).defaults
    assert (defaults.send, defaults.receive, defaults.subscribe, defaults.unsubscribe) == (False, False, False, True)


def test_who_is_barred_has_one_role_that_denies_and_is_disabled() -> None:
    state = desired_state([RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)])
    client = state.clients["pump"]
    assert client.roles == (("gh.barred", 1000),)
    assert client.disabled
    for topic in ("a", "$SYS/x", "$CONTROL/dynamic-security/v1"):
        assert not may_send(state, "pump", topic)
        assert not may_receive(state, "pump", topic)
    for filter_ in ("#", "$SYS/#", "$CONTROL/#", "$share/g/a"):
        assert not may_subscribe(state, "pump", filter_)


def test_who_is_absent_is_not_there() -> None:
    assert desired_state([RenderSubject(principal=PUMP, policy=(), state=Standing.ABSENT)]).clients == {}


def test_a_deny_wins_over_an_allow_of_any_role() -> None:
    shared = (bound("allow", "a/#"), bound("deny", "a/secret/#"))
    state = desired_state([admitted(*shared, bound("allow", "a/secret/${client_id}"))])
    assert not may_send(state, "pump", "a/secret/pump")
    assert may_send(state, "pump", "a/open")
    assert may_subscribe(state, "pump", "a/#")
    assert not may_subscribe(state, "pump", "a/secret/pump")
    assert not may_subscribe(state, "pump", "$share/g/a/secret/x")
    assert deliverable(state, "pump", "$share/g/a/#", "a/open")
    assert not deliverable(state, "pump", "$share/g/a/#", "a/secret/x")


def test_an_allow_that_begins_with_a_wildcard_stands_under_guards() -> None:
    policy = (bound("allow", "#"), bound("allow", "$SYS/broker/load/#", actions=SUBSCRIBE))
    state = desired_state([admitted(*policy)])
    tiers = dict(state.clients["pump"].roles)
    assert tiers["gh.r.pump.allow"] > tiers["gh.guard.dollar"] > tiers["gh.r.pump.wide-shared"]
    assert tiers["gh.r.pump.wide-shared"] > tiers["gh.guard.share"] > tiers["gh.r.pump.wide"]
    assert may_subscribe(state, "pump", "#")
    assert may_subscribe(state, "pump", "$share/g/a")
    assert may_subscribe(state, "pump", "$SYS/broker/load/#")
    assert not may_subscribe(state, "pump", "$SYS/#")
    assert not may_subscribe(state, "pump", "$CONTROL/#")
    assert not may_subscribe(state, "pump", "$share/g/$SYS/#")


def test_shared_conditions_are_expressed() -> None:
    never = desired_state([admitted(bound("allow", "#", shared=Shared.NEVER))])
    assert may_subscribe(never, "pump", "a")
    assert not may_subscribe(never, "pump", "$share/g/a")
    group = desired_state([admitted(bound("allow", "a", shared=Shared.ONLY, shared_group="g"))])
    assert may_subscribe(group, "pump", "$share/g/a")
    assert not may_subscribe(group, "pump", "$share/h/a")
    assert not may_subscribe(group, "pump", "a")


def test_what_can_not_be_expressed_is_declared() -> None:
    assert deviations(bound("allow", "a", qos=frozenset({0}))) == [("a", "narrower")]
    assert deviations(bound("allow", "$SYS/x", actions=PUBLISH)) == [("$SYS/x", "narrower")]
    assert deviations(bound("allow", "a/\x01")) == [("a/\x01", "narrower")]
    assert deviations(bound("allow", "/".join("a" * 202))) == [("/".join("a" * 202), "narrower")]
    assert deviations(bound("deny", "a", actions=SUBSCRIBE)) == [("a", "signalling")]
    assert deviations(bound("deny", "a", shared=Shared.ONLY)) == [("a", "narrower"), ("a", "signalling")]
    assert deviations(bound("allow", "#", actions=SUBSCRIBE)) == [("#", "signalling")]


def test_a_deny_at_the_depth_that_the_broker_just_takes_is_kept() -> None:
    deepest = "a" + "/a" * 200
    for denied in (deepest, f"{deepest}/#"):
        state = desired_state([admitted(bound("allow", "a/#"), bound("deny", denied))])
        assert not may_send(state, "pump", deepest)
        assert not may_receive(state, "pump", deepest)
        assert may_send(state, "pump", deepest[:-2])
        assert all(acl.topic.count("/") <= 200 for acls in state.roles.values() for acl in acls)


def test_topics_that_the_broker_closes_the_connection_over_pass_for_nobody() -> None:  # seen with 2.0.11
    state = desired_state([admitted(bound("allow", "#"), bound("deny", "a/b\n"))])
    for topic in ("a/b\n", "a\x7f", "a\x85", "a\ufdd0", "a\uffff", "/" * 201):
        assert not may_send(state, "pump", topic)
        assert not may_subscribe(state, "pump", topic)
    assert may_send(state, "pump", "/" * 200)
    assert may_send(state, "pump", "a\u2028")
    assert may_subscribe(state, "pump", "$share/g/" + "/" * 198)
    assert not may_subscribe(state, "pump", "$share/g/" + "/" * 199)
    assert ("a/b\n", "signalling") in deviations(bound("deny", "a/b\n"))  # a filter that meets it is granted


def test_a_level_that_mosquitto_2_1_would_fill_in_is_not_written_for_2_0_either() -> None:
    policy = (bound("allow", "a/%u"), bound("allow", "${attr.x}/b"), bound("allow", "c/#"), bound("deny", "c/%u/d"))
    who = Principal(id="1", auth_id="pump", client_id="k", username="pump", domain="d", attributes={"x": "%c"})
    rendering = render([admitted(*policy, principal=who)])
    state = parse(rendering.artifact)
    topics = ("a/%u", "a/pump", "%c/b", "k/b", "c/%u/d", "c/d")
    assert [may_send(state, "pump", topic) for topic in topics] == [False, False, False, False, False, True]
    assert [mosquitto_dynsec_21_emulator.emulate(state, who, Publish(topic=topic)) for topic in topics] == [
        *(False, False, False, False, False, True),
    ]
    narrower = {found.rule.rule.topic for found in rendering.deviations if found.kind is DeviationKind.NARROWER}
    assert narrower == {"a/%u", "${attr.x}/b", "c/#", "c/%u/d"}


def test_a_principals_own_roles_are_among_the_names_that_may_be_deleted_with_it() -> None:
    policy = (*QUICKSTART, bound("deny", "${client_id}"), bound("allow", "+/${client_id}"))
    state = desired_state([admitted(*policy)])
    assert {name for name in state.roles if name.startswith("gh.d.")} == set(own_roles("pump"))


def test_a_client_says_whose_it_is_only_where_no_role_of_its_own_does() -> None:
    policies = QUICKSTART, QUICKSTART[2:], ()
    assert [desired_state([admitted(*policy)]).clients["pump"].mark for policy in policies] == ["", "gh.", "gh."]
    barred = desired_state([RenderSubject(principal=PUMP, policy=QUICKSTART, state=Standing.BARRED)])
    assert barred.clients["pump"].mark == "gh."


def test_what_is_rendered_is_what_is_parsed_whatever_the_order() -> None:
    dice = Dice(roll=random.Random(1))
    names = ("b", "a", "\u00e9")
    people = [Principal(id=name, auth_id=name, client_id=name, username=name, domain="d") for name in names]
    policy = dice.policy()
    subjects = [admitted(*policy, principal=person) for person in people]
    barred = RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)
    rendering = render([*subjects, barred])
    assert rendering.artifact == render([barred, *reversed(subjects)]).artifact
    assert parse(rendering.artifact) == desired_state([*subjects, barred])
    assert to_artifact(parse(rendering.artifact)) == rendering.artifact


def test_a_literal_acl_is_asked_before_patterns_whatever_the_priority() -> None:
    literal = Acl(kind=AclType.SUBSCRIBE_LITERAL, topic="a/#", allow=False)
    pattern = Acl(kind=AclType.SUBSCRIBE, topic="a/#", allow=True, priority=9)
    state = desired_state([admitted(bound("allow", "a/#"))])
    state = DynsecState(roles={name: frozenset({literal, pattern}) for name in state.roles}, clients=state.clients)
    assert not may_subscribe(state, "pump", "a/#")
    assert may_subscribe(state, "pump", "a/b")


@pytest.mark.parametrize(
    ("pattern", "filter_", "expected"),
    [  # seen by experiment with 2.0.11
        ("w/#", "w/+/x", True),
        ("w/#", "w", True),
        ("q/+/r", "q/+/r", True),
        ("q/+/r", "q/#", False),
        ("a/+", "a/#", False),
        ("#", "$SYS/#", True),
        ("+/x", "$SYS/x", True),
        ("w/#", "$share/g/w/a", False),
        ("$share/+/z/#", "$share/g/z/a", True),
        ("/#", "#", True),
        ("+/#", "#", True),
        ("/+/#", "#", False),
    ],
)
def test_containment_is_about_levels_alone(pattern: str, filter_: str, *, expected: bool) -> None:
    assert contains(pattern, filter_) is expected


@pytest.mark.parametrize(("levels", "seed"), [(PLAIN, 11), (PLAIN, 12), (ODD, 13), (ODD, 14)])
def test_engine_and_broker_agree_or_the_deviation_is_declared(levels: tuple[str, ...], seed: int) -> None:
    dice = Dice(roll=random.Random(seed), levels=levels)
    for _ in range(250):
        policy = dice.policy()
        rendering = render([admitted(*policy)])
        state = parse(rendering.artifact)
        broker = Broker(
            allows=lambda request, state=state: emulate(state, "pump", request),  # type: ignore[misc]
            delivers=lambda request, name, state=state: deliverable(state, "pump", _spelled(request), name),  # type: ignore[misc]
            deviations=rendering.deviations,
            excuses=lambda request, policy=policy: _excuses(policy, request),  # type: ignore[misc]
        )
        for _ in range(8):
            request = dice.request(policy)
            assert unexplained(policy, request, broker) == "", (policy, state)


def _spelled(request: Subscribe) -> str:
    return request.topic if request.group is None else f"$share/{request.group}/{request.topic}"


def _excuses(policy: tuple[BoundRule, ...], request: Request) -> bool:
    """Publishing to `$SYS`; and what a deny that begins with a wildcard hits without meeting it, as declared."""
    if isinstance(request, Publish):
        return request.topic.startswith("$SYS")
    hit = isinstance(request, Subscribe) and (request.group is not None or request.topic.startswith("$"))
    return hit and any(bound.rule.effect is Effect.DENY and bound.rule.topic[0] in "+#" for bound in policy)


def test_receive_is_withheld_under_a_deny() -> None:
    state = desired_state([admitted(bound("allow", "a/#"), bound("deny", "a/secret/#"))])
    assert not emulate(state, "pump", Receive(topic="a/secret/x"))
    assert emulate(state, "pump", Receive(topic="a/x"))
