from __future__ import annotations

import random
from dataclasses import replace
from uuid import NAMESPACE_OID, uuid5

import pytest

from acl.core.evaluation import evaluate
from acl.core.values import (
    Action,
    Allow,
    BoundRule,
    Effect,
    Principal,
    Publish,
    Receive,
    Rule,
    RuleId,
    Shared,
    Subscribe,
)
from brokers.core.ports import RenderSubject, Standing
from brokers.core.rabbitmq.emulator import deliverable, emulate, may_publish, may_subscribe, reaches
from brokers.core.rabbitmq.patterns import NEVER
from brokers.core.rabbitmq.policy import LIMITS, MOST_OCTETS, OTHER_EXCHANGES, desired_state, limited, render
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState, RabbitUser, ResourcePermission, TopicPermission, parse
from brokers.core.targets import RABBITMQ
from tests.brokers.core.faithfulness import NAMES, ODD, PUMP, Dice
from tests.brokers.core.generated import fleet
from tests.brokers.core.trials import shrunk, trial

BOTH = frozenset({Action.PUBLISH, Action.SUBSCRIBE})
PUBLISH = frozenset({Action.PUBLISH})
SUBSCRIBE = frozenset({Action.SUBSCRIBE})


def bound(effect: str, topic: str, **conditions: object) -> BoundRule:
    facts: dict[str, object] = {"actions": BOTH, **conditions}
    named = RuleId(uuid5(NAMESPACE_OID, effect + topic))
    return BoundRule(rule=Rule(id=named, effect=Effect(effect), topic=topic, **facts), role_name="pump")  # type: ignore[arg-type]


def admitted(*policy: BoundRule, principal: Principal = PUMP) -> RenderSubject:
    return RenderSubject(principal=principal, policy=policy, state=Standing.ADMITTED)


def state_of(*policy: BoundRule, principal: Principal = PUMP) -> RabbitState:
    return parse(render([admitted(*policy, principal=principal)]).artifact)


def topics_of(*policy: BoundRule, principal: Principal = PUMP) -> TopicPermission:
    return state_of(*policy, principal=principal).users[principal.auth_id].topics[EXCHANGE]


def deviations(*policy: BoundRule, principal: Principal = PUMP) -> list[tuple[str, str]]:
    found = render([admitted(*policy, principal=principal)]).deviations
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in found]


def named(auth_id: str, client_id: str = "c") -> Principal:
    return Principal(id=auth_id, auth_id=auth_id, client_id=client_id, username=auth_id, domain="north")


def test_a_whole_document() -> None:
    policy = (bound("allow", "${domain}/${auth_id}/up", actions=PUBLISH), bound("allow", "n/+", actions=SUBSCRIBE))
    own = r"mqtt-subscription-c\\.1qos0|mqtt-subscription-c\\.1qos1"
    others = "\n".join(
        f'{{"user": "pump-1", "vhost": "/", "exchange": "amq.{name}", "write": "(?!)", "read": "(?!)"}},'
        for name in ("rabbitmq.event", "rabbitmq.log", "rabbitmq.trace")
    )
    assert render([admitted(*policy, principal=named("pump-1", "c.1"))]).artifact == (
        '{"users": [\n{"name": "pump-1", "password_hash": "", "tags": []}\n],\n"permissions": [\n'
        f'{{"user": "pump-1", "vhost": "/", "configure": "^(?:{own})\\\\z", '
        f'"write": "^(?:{own}|amq\\\\.topic)\\\\z", "read": "^(?:{own}|amq\\\\.topic)\\\\z"}}\n],\n'
        f'"topic_permissions": [\n{others}\n{{"user": "pump-1", "vhost": "/", "exchange": "amq.topic", '
        '"write": "^(?!\\\\z|\\\\$|[^*#]*[*#])(?:north\\\\.{username}\\\\.up\\\\z)", '
        '"read": "^(?!\\\\z|[^#]*#(?!\\\\z))(?:n\\\\.[^.#]*\\\\z)"}\n]}\n'
    )


@pytest.mark.parametrize(
    ("filter", "granted"),
    [
        *((filter, False) for filter in ("a/#", "a/+", "a/+/x", "a/secret", "a/secret/x", "#", "b", "+/open")),
        *((filter, True) for filter in ("a/open/#", "a/open/+/x", "a", "a/open")),
    ],
)
def test_the_reference_policy_grants_what_was_seen_on_a_broker(filter: str, granted: bool) -> None:
    state = state_of(bound("allow", "a/#"), bound("deny", "a/secret/#"))
    assert emulate(state, PUMP, Subscribe(topic=filter)) is granted


def test_the_reference_policy_lets_publish_all_but_the_secret() -> None:
    state = state_of(bound("allow", "a/#"), bound("deny", "a/secret/#"))
    topics = ("a", "a/b", "a/secrets", "a/secret", "a/secret/x", "b", "ab")
    assert [topic for topic in topics if emulate(state, PUMP, Publish(topic=topic))] == ["a", "a/b", "a/secrets"]
    assert emulate(state, PUMP, Receive(topic="a/b"))
    assert not emulate(state, PUMP, Receive(topic="a/secret/x"))


def test_a_level_wildcard_does_not_grant_everything_below() -> None:
    state = state_of(bound("allow", "f/+"))
    assert may_subscribe(state, PUMP, "f/+")
    assert not may_subscribe(state, PUMP, "f/#")


def test_nobody_publishes_below_a_dollar_and_so_no_wildcard_receives_it() -> None:
    policy = (bound("allow", "$s/#"), bound("allow", "#"))
    state = state_of(*policy)
    assert deviations(*policy) == [("$s/#", "narrower")]
    assert not may_publish(state, PUMP, "$s/x")
    assert may_subscribe(state, PUMP, "#")
    assert may_subscribe(state, PUMP, "$s/#")
    assert not may_subscribe(state, PUMP, "$other/#")
    assert reaches("#", "$s/x")
    assert not deliverable(state, PUMP, Subscribe(topic="#"), "$s/x")


def test_the_emulator_sees_what_a_wildcard_receives_below_a_dollar_once_an_account_may_publish_it() -> None:
    everything = RabbitUser(
        permission=ResourcePermission(configure=".*", write=".*", read=".*"),
        topics={EXCHANGE: TopicPermission(write=".*", read=".*")},
    )
    state = state_of(bound("allow", "#"))
    state = replace(state, users={**state.users, "admin": everything})
    assert deliverable(state, PUMP, Subscribe(topic="#"), "$s/x")


@pytest.mark.parametrize("topic", ["x.y", "x/*", "x*/y"])
def test_dots_and_stars_are_left_out_of_allows_and_read_as_rabbitmq_does_in_denies(topic: str) -> None:
    assert topics_of(bound("allow", topic)) == TopicPermission()
    assert deviations(bound("allow", topic)) == [(topic, "narrower")]
    denied = state_of(bound("allow", "#"), bound("deny", topic))
    assert not may_publish(denied, PUMP, topic)
    assert not may_subscribe(denied, PUMP, topic)
    assert all(limited(request) for request in (Publish(topic=topic), Subscribe(topic=topic), Receive(topic=topic)))


def test_a_dot_is_a_slash_to_rabbitmq_whoever_spells_it() -> None:
    state = state_of(bound("allow", "x/y"))
    assert may_publish(state, PUMP, "x.y")
    assert may_subscribe(state, PUMP, "x.y")
    assert not emulate(state, PUMP, Publish(topic="x.y"))  # nothing arrives as x.y
    assert not may_subscribe(state_of(bound("allow", "x/+"), bound("deny", "x/y")), PUMP, "x.y")


def test_a_deny_with_a_dot_refuses_a_wildcard_of_its_own_number_of_levels_too() -> None:
    state = state_of(bound("allow", "#"), bound("deny", "x.y"))
    refused = [
        filter for filter in ("+", "+/+", "x/+", "#", "x/y", "x", "x/z") if not may_subscribe(state, PUMP, filter)
    ]
    assert refused == ["+", "+/+", "x/+", "#", "x/y"]


def test_the_variable_stands_for_safe_names_only() -> None:
    rule = bound("allow", "x/${auth_id}-${client_id}", actions=PUBLISH)
    assert topics_of(rule, principal=named("pump_1-A")).write.endswith(r"(?:x\.{username}-c\z)")
    assert topics_of(rule, principal=named("p(u)mp")).write.endswith(r"(?:x\.p\(u\)mp-c\z)")
    assert topics_of(rule, principal=named(".*")).write == NEVER
    assert deviations(rule, principal=named(".*")) == [("x/${auth_id}-${client_id}", "narrower")]


def test_a_member_of_a_role_has_the_same_expression_as_every_other() -> None:
    rules = (bound("allow", "${auth_id}/up/#"), bound("deny", "${auth_id}/up/raw"))
    assert topics_of(*rules, principal=named("a")) == topics_of(*rules, principal=named("b"))


def test_a_client_id_can_not_be_taken_for_an_expression() -> None:
    rule = bound("allow", "fleet/${auth_id}/${client_id}/up")
    victim, thief = named("dev-1", "dev-1"), named("dev-2", ".*")
    state = parse(render([admitted(rule, principal=victim), admitted(rule, principal=thief)]).artifact)
    assert may_publish(state, victim, "fleet/dev-1/dev-1/up")
    assert not may_publish(state, thief, "fleet/dev-2/dev-1/up")
    assert "{client_id}" not in render([admitted(rule, principal=victim)]).artifact


def test_topics_that_spell_a_variable_are_just_text() -> None:
    rule = bound("allow", "x/{username}/{client_id}/{vhost}")
    state = state_of(rule)
    assert may_publish(state, PUMP, "x/{username}/{client_id}/{vhost}")
    assert not may_publish(state, PUMP, "x/pump/pump//")


def test_a_private_use_character_in_a_value_is_not_taken_for_the_name() -> None:
    principal = replace(named("pump"), attributes={"x": "\ue000"})
    rule = bound("allow", "${auth_id}/${attr.x}")
    state = state_of(rule, principal=principal)
    assert may_publish(state, principal, "pump/\ue000")
    assert not may_publish(state, principal, "pump/pump")


def test_queues_are_those_of_the_own_client_id() -> None:
    state = state_of(bound("allow", "a"))
    assert may_subscribe(state, PUMP, "a", qos=0)
    assert may_subscribe(state, PUMP, "a", qos=2)
    assert not may_subscribe(state, replace(PUMP, client_id="valve"), "a")
    assert not may_subscribe(state, replace(PUMP, client_id="pumpqos1x"), "a")


def test_each_quality_of_service_has_a_queue_of_its_own() -> None:
    own = r"^mqtt-subscription-pumpqos0\z"
    user = RabbitUser(permission=ResourcePermission(configure=own, write=own, read=f"{own}|^amq\\.topic\\z"))
    state = RabbitState(users={"pump": user})
    assert [qos for qos in (0, 1, 2) if may_subscribe(state, PUMP, "a", qos=qos)] == [0]


def test_a_direction_without_allow_has_no_right_to_the_exchange_and_queues_are_only_there_to_be_deleted() -> None:
    own = r"^(?:mqtt-subscription-pumpqos0|mqtt-subscription-pumpqos1)\z"
    publisher = state_of(bound("allow", "a", actions=PUBLISH)).users["pump"].permission
    assert publisher == ResourcePermission(configure=own, write=r"^amq\.topic\z")
    listener = state_of(bound("allow", "a", actions=SUBSCRIBE)).users["pump"].permission
    assert listener is not None
    assert "amq" not in listener.write
    assert state_of().users["pump"].permission == ResourcePermission(configure=own)


@pytest.mark.parametrize("client_id", ["", "a\nb", "a\r\nb"])
def test_who_has_no_queue_subscribes_to_nothing(client_id: str) -> None:
    principal = named("pump", client_id)
    assert topics_of(bound("allow", "a"), principal=principal).read == NEVER
    assert deviations(bound("allow", "a"), principal=principal) == [("a", "narrower")]
    assert emulate(state_of(bound("allow", "a"), principal=principal), principal, Publish(topic="a"))


def test_who_is_barred_keeps_an_account_that_may_do_nothing_and_who_is_absent_has_none() -> None:
    rule = bound("allow", "#")
    barred = RenderSubject(principal=PUMP, policy=(rule,), state=Standing.BARRED)
    state = desired_state([barred])
    nothing = TopicPermission(write=NEVER, read=NEVER)
    assert state.users["pump"].permission is None  # without one RabbitMQ does not let it log in
    assert state.users["pump"].topics == dict.fromkeys((EXCHANGE, *OTHER_EXCHANGES), nothing)
    assert not may_publish(state, PUMP, "a")
    assert not may_subscribe(state, PUMP, "a")
    assert desired_state([replace(barred, state=Standing.ABSENT)]).users == {}


def test_without_a_topic_permission_everything_is_allowed_and_without_a_permission_nothing() -> None:
    everything = ResourcePermission(configure=".*", write=".*", read=".*")
    free = RabbitState(users={"pump": RabbitUser(permission=everything)})
    assert may_publish(free, PUMP, "whatever")
    assert may_subscribe(free, PUMP, "#")
    assert not may_publish(RabbitState(users={"pump": RabbitUser()}), PUMP, "whatever")


@pytest.mark.parametrize("topic", ["", "\n"])
def test_the_usual_expression_for_nothing_lets_something_pass_and_ours_does_not(topic: str) -> None:
    permission = ResourcePermission(write=r"^amq\.topic$")
    usual = RabbitUser(permission=permission, topics={EXCHANGE: TopicPermission(write="^$")})
    ours = replace(usual, topics={EXCHANGE: TopicPermission()})
    assert may_publish(RabbitState(users={"pump": usual}), PUMP, topic)
    assert not may_publish(RabbitState(users={"pump": ours}), PUMP, topic)


def test_conditions_leave_allows_out_and_make_denies_unconditional() -> None:
    once = frozenset({0})
    assert deviations(bound("allow", "a", qos=once)) == [("a", "narrower")]
    assert topics_of(bound("allow", "a", qos=once)) == TopicPermission()
    denied = (bound("allow", "a/#"), bound("deny", "a/b", qos=once))
    assert deviations(*denied) == [("a/b", "narrower")]
    assert not emulate(state_of(*denied), PUMP, Publish(topic="a/b", qos=1))


def test_what_is_about_shared_subscriptions_alone_is_left_out() -> None:
    only = bound("allow", "a", actions=SUBSCRIBE, shared=Shared.ONLY)
    assert topics_of(only).read == NEVER
    assert deviations(only) == [("a", "narrower")]
    policy = (bound("allow", "a"), bound("deny", "a", actions=SUBSCRIBE, shared=Shared.ONLY))
    assert deviations(*policy) == []
    assert may_subscribe(state_of(*policy), PUMP, "a")
    assert not may_subscribe(state_of(bound("allow", "#")), PUMP, "$share/g/a")
    assert deviations(bound("allow", "a"), bound("deny", "a", shared=Shared.NEVER)) == [("a", "narrower")]


def test_a_void_allow_is_left_out_and_a_void_deny_widened() -> None:
    policy = (bound("allow", "a/#"), bound("allow", "${attr.site}/x"), bound("deny", "a/${attr.site}/b"))
    state = state_of(*policy)
    assert not may_publish(state, PUMP, "a/1/b")
    assert not may_publish(state, PUMP, "/x")
    assert may_publish(state, PUMP, "a/1/c")


def test_too_many_rules_grant_nothing() -> None:
    policy = tuple(bound("allow", f"{number}/{'x' * 1000}") for number in range(10))
    assert topics_of(*policy) == TopicPermission()
    assert {kind for _, kind in deviations(*policy)} == {"narrower"}
    fewer = topics_of(*policy[:9])
    assert max(len(fewer.write), len(fewer.read)) <= MOST_OCTETS
    assert may_publish(state_of(*policy[:9]), PUMP, f"8/{'x' * 1000}")


def test_the_length_counts_with_the_name_put_in() -> None:
    rule = bound("allow", "/".join(["${auth_id}"] * 90))
    assert topics_of(rule, principal=named("x" * 120)) == TopicPermission()
    assert topics_of(rule, principal=named("x" * 60)) != TopicPermission()


def test_very_deep_filters_are_narrowed() -> None:
    deep = "/".join("a" * 101)
    assert topics_of(bound("allow", deep)) == TopicPermission()
    state = state_of(bound("allow", "#"), bound("deny", deep))
    assert not may_publish(state, PUMP, "/".join("a" * 100))
    assert may_publish(state, PUMP, "/".join("a" * 98))
    assert ("narrower", deep) in [(kind, topic) for topic, kind in deviations(bound("allow", "#"), bound("deny", deep))]


def test_what_holds_for_one_does_not_depend_on_the_others() -> None:
    roll = random.Random("alone")
    for _ in range(20):
        subjects = fleet(roll).subjects()
        whole = desired_state(subjects).users
        for subject in subjects:
            alone = desired_state([subject]).users
            assert alone.get(subject.principal.auth_id) == whole.get(subject.principal.auth_id)


@pytest.mark.parametrize("state", [Standing.ADMITTED, Standing.BARRED, Standing.ABSENT])
def test_that_an_import_takes_nobody_away_is_told(state: Standing) -> None:
    [warning] = render([RenderSubject(principal=PUMP, policy=(), state=state)]).warnings
    assert "POST /api/users/bulk-delete" in warning
    assert render([]).warnings == (warning,)


def test_every_limit_is_a_sentence() -> None:
    assert all(limit.why.endswith(".") for limit in LIMITS)


@pytest.mark.parametrize("seed", ["rabbitmq 1", "rabbitmq 2"])
def test_engine_and_broker_agree_or_the_deviation_is_declared(seed: str) -> None:
    found = trial(RABBITMQ, seed=seed, pairs=800)
    assert found.first is None, shrunk(RABBITMQ, found.first).told()


def test_no_packet_whatever_is_in_it_brings_more_than_the_policy_allows() -> None:
    """Topics and filters as RabbitMQ reads them, malformed ones among them, against the engine."""
    dice = Dice(roll=random.Random("packets"))
    levels = (*ODD, "#", "a#", "+", "b.#", "a.*")
    granted = 0
    for _ in range(60):
        policy = dice.policy()
        state = state_of(*policy)
        for _ in range(25):
            text = "/".join(dice.roll.choice(levels) for _ in range(dice.roll.randint(1, 4)))
            if may_publish(state, PUMP, text):
                granted += 1
                assert permits(policy, Publish(topic=text.replace(".", "/"))), (policy, text)
            if may_subscribe(state, PUMP, text):
                granted += 1
                brought = [name for name in NAMES if reaches(text, name) and not name.startswith("$")]
                assert all(permits(policy, Receive(topic=name)) for name in brought), (policy, text)
    assert granted > 100


def permits(policy: tuple[BoundRule, ...], request: Publish | Receive) -> bool:
    return isinstance(evaluate(policy, PUMP, request), Allow)
