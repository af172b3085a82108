"""The plugin can not be installed here: what stands here holds by its reference and its sources."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest

from acl.core.values import Action, BoundRule, Principal, Publish, Receive, Retain, Shared, Subscribe
from brokers.core.goauth import emulator as goauth_emulator
from brokers.core.goauth import postgresql as goauth_postgresql
from brokers.core.goauth import redis as goauth_redis
from brokers.core.goauth.cache import READABLE
from brokers.core.goauth.emulator import match
from brokers.core.goauth.policy import AMBIGUOUS, CACHED, ELSEWHERE, LIMITS, REFUSED
from brokers.core.goauth.postgresql import ACL_QUERY, SCHEMA, GoAuthRows, InvalidGoAuthRows, Row
from brokers.core.goauth.redis import GoAuthKeys, InvalidGoAuthKeys
from brokers.core.mosquitto.topics import limited
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from tests.brokers.core.faithfulness import ODD, PLAIN, PUMP, Broker, Dice, unexplained
from tests.brokers.core.nats.test_policy import admitted, bound

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
QUICKSTART = (
    bound("allow", "${domain}/${client_id}/up/#", actions=PUBLISH),
    bound("allow", "${domain}/all/#", actions=SUBSCRIBE),
)
POSTGRESQL = (goauth_postgresql, goauth_emulator.emulate_rows, goauth_emulator.deliverable_by_rows)
REDIS = (goauth_redis, goauth_emulator.emulate_keys, goauth_emulator.deliverable_by_keys)
Backend = tuple[ModuleType, Callable[..., bool], Callable[..., bool]]
both = pytest.mark.parametrize("backend", [POSTGRESQL, REDIS], ids=["postgresql", "redis"])


def person(name: str, client_id: str = "") -> Principal:
    return Principal(id=name, auth_id=name, client_id=client_id or name, username=name, domain="north")


def rows(*subjects: RenderSubject) -> GoAuthRows:
    return goauth_postgresql.parse(goauth_postgresql.render(subjects).artifact)


def keys(*subjects: RenderSubject) -> dict[str, set[str]]:
    found = goauth_redis.parse(goauth_redis.render(subjects).artifact)
    return {key: set(topics) for key, topics in found.sets.items()}


def deviations(rendering: Rendering) -> list[tuple[str, str]]:
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in rendering.deviations]


def test_what_a_set_of_roles_may_do_stands_once_in_postgresql() -> None:
    found = rows(*(admitted(*QUICKSTART, principal=person(f"d{number}")) for number in range(20)))
    assert found.members == {f"d{number}": "pump" for number in range(20)}
    assert found.roles == {
        Row("pump", "north/%u/up/#", 2),
        Row("pump", "north/all/#", 1),
        Row("pump", "north/all/#", 4),
        Row("pump", "$share/+/north/all/#", 4),
    }
    assert found.own == frozenset()


def test_what_is_not_the_same_for_just_any_name_is_the_users_own() -> None:
    rules = (bound("allow", "x/#", actions=PUBLISH), bound("allow", "${attr.site}/x", actions=PUBLISH))
    sited = Principal(**{**_facts(person("d")), "attributes": {"site": "s1"}})  # type: ignore[arg-type]
    other = admitted(*QUICKSTART, principal=person("e", client_id="c-e"))
    found = rows(admitted(*rules, principal=sited), other)
    assert found.members == {"d": "pump"}
    assert found.roles == {Row("pump", "x/#", 2)}
    assert Row("d", "s1/x", 2) in found.own
    assert {row for row in found.own if row.whose == "e" and row.rw == 2} == {Row("e", "north/c-e/up/#", 2)}


def _facts(principal: Principal) -> dict[str, object]:
    return {name: getattr(principal, name) for name in ("id", "auth_id", "client_id", "username", "domain")}


def test_a_literal_level_that_meets_a_name_does_not_take_from_the_others() -> None:
    rules = (bound("allow", "a/b", actions=PUBLISH), bound("deny", "a/${auth_id}", actions=PUBLISH))
    found = rows(admitted(*rules, principal=person("b")), admitted(*rules, principal=person("c")))
    assert not goauth_emulator.emulate_rows(found, person("b"), Publish(topic="a/b"))
    assert goauth_emulator.emulate_rows(found, person("c"), Publish(topic="a/b"))


def test_redis_has_three_sets_for_each_user_and_none_for_everybody() -> None:
    assert keys(admitted(*QUICKSTART)) == {
        "pump:racls": {"north/all/#"},
        "pump:wacls": {"north/pump/up/#"},
        "pump:sacls": {"north/all/#", "$share/+/north/all/#"},
    }


def test_the_view_answers_the_query_as_the_emulator_does() -> None:
    rules = (*QUICKSTART, bound("allow", "${attr.x}/y"))
    who = Principal(**{**_facts(person("d")), "attributes": {"x": "z"}})  # type: ignore[arg-type]
    found = rows(admitted(*rules, principal=who), admitted(*QUICKSTART, principal=person("e", client_id="c")))
    base = sqlite3.connect(":memory:")
    base.executescript(SCHEMA)
    base.executemany("INSERT INTO mqtt_member VALUES (?, ?)", found.members.items())
    base.executemany("INSERT INTO mqtt_role_acl VALUES (?, ?, ?)", found.roles)
    base.executemany("INSERT INTO mqtt_own_acl VALUES (?, ?, ?)", found.own)
    asked = {
        (name, acc): {topic for (topic,) in base.execute(ACL_QUERY, {"1": name, "2": acc})}
        for name in ("d", "e", "f")
        for acc in (1, 2, 4)
    }
    base.close()
    assert asked["d", 2] == {"north/%u/up/#", "z/y"}
    assert asked["d", 1] == {"north/all/#", "z/y"}
    assert asked["e", 2] == {"north/c/up/#"}
    assert asked["e", 4] == {"north/all/#", "$share/+/north/all/#"}
    assert asked["f", 1] == asked["f", 2] == asked["f", 4] == set()


@both
def test_a_filter_is_granted_too_widely_and_brings_no_more_than_is_allowed(backend: Backend) -> None:
    module, emulate, deliverable = backend
    rendering = module.render([admitted(bound("allow", "a/+", actions=SUBSCRIBE))])
    state = module.parse(rendering.artifact)
    assert emulate(state, PUMP, Subscribe(topic="a/#"))
    assert deliverable(state, PUMP, Subscribe(topic="a/#"), "a/b")
    assert not deliverable(state, PUMP, Subscribe(topic="a/#"), "a/b/c")
    assert not deliverable(state, PUMP, Subscribe(topic="a/#", group="g"), "a")
    assert deviations(rendering) == [("a/+", "signalling")]


@both
@pytest.mark.parametrize("filter_", ["#", "+/a", "+", "+/+/#"])
def test_an_allow_that_begins_with_a_wildcard_is_left_out(backend: Backend, filter_: str) -> None:
    module, emulate, _ = backend
    rendering = module.render([admitted(bound("allow", filter_))])
    state = module.parse(rendering.artifact)
    for request in (Publish(topic="a/a"), Subscribe(topic="$SYS/#"), Subscribe(topic="a", group="g")):
        assert not emulate(state, PUMP, request)
    assert {kind for _, kind in deviations(rendering)} == {"narrower"}


@both
def test_a_deny_is_taken_out_of_the_allows_that_it_meets(backend: Backend) -> None:
    module, emulate, deliverable = backend
    policy = (bound("allow", "a/#"), bound("deny", "a"), bound("allow", "b/+"), bound("deny", "b/x"))
    rendering = module.render([admitted(*policy)])
    state = module.parse(rendering.artifact)
    assert emulate(state, PUMP, Publish(topic="a/x"))
    assert not emulate(state, PUMP, Publish(topic="a"))
    assert not deliverable(state, PUMP, Subscribe(topic="a/#"), "a")
    assert deliverable(state, PUMP, Subscribe(topic="a/#"), "a/x")
    assert not emulate(state, PUMP, Publish(topic="b/y"))
    assert ("b/+", "narrower") in deviations(rendering)


@both
def test_conditions_that_can_not_be_told_apart_leave_allows_out(backend: Backend) -> None:
    module, emulate, _ = backend
    for rule in (
        bound("allow", "a", qos=frozenset({0})),
        bound("allow", "a", retain=Retain.NEVER, actions=PUBLISH),
        bound("allow", "a", retain=Retain.ONLY, actions=PUBLISH),
    ):
        rendering = module.render([admitted(rule)])
        assert not emulate(module.parse(rendering.artifact), PUMP, Publish(topic="a"))
        assert {kind for _, kind in deviations(rendering)} == {"narrower"}


@both
def test_shared_groups_are_told_apart(backend: Backend) -> None:
    module, emulate, _ = backend
    rule = bound("allow", "a", shared=Shared.ONLY, shared_group="g", actions=SUBSCRIBE)
    state = module.parse(module.render([admitted(rule)]).artifact)
    granted = [emulate(state, PUMP, Subscribe(topic="a", group=group)) for group in ("g", "h", None)]
    assert granted == [True, False, False]


@both
def test_a_shared_filter_is_left_out_if_a_plain_one_would_bring_it(backend: Backend) -> None:
    module, _, deliverable = backend
    shared = bound("allow", "b/c/d", shared=Shared.ONLY, actions=SUBSCRIBE)
    policy = (shared, bound("allow", "b/+", actions=SUBSCRIBE, shared=Shared.NEVER))
    rendering = module.render([admitted(*policy)])
    state = module.parse(rendering.artifact)
    assert deliverable(state, PUMP, Subscribe(topic="b/#"), "b/c")
    assert not deliverable(state, PUMP, Subscribe(topic="b/#"), "b/c/d")
    assert ("b/c/d", "narrower") in deviations(rendering)


@both
@pytest.mark.parametrize("name", ["a/b", "+", "#", "$s", "%u", "%c", "a%cb", "", "a\x00", "a\nb"])
def test_a_name_that_could_inject_gets_no_more_than_its_own(backend: Backend, name: str) -> None:
    module, emulate, _ = backend
    rules = (bound("allow", "${auth_id}/#"), bound("allow", "y/${auth_id}/#"))
    subjects = [admitted(*rules, principal=person(other)) for other in ("a", "b", name)]
    state = module.parse(module.render(subjects).artifact)
    for topic in ("a/b/x", "a/x", "b/x", "z/x", "$s/x", "y/a/x", "y/a/b/x", "y/z/x", "/x"):
        assert not emulate(state, person(name), Publish(topic=topic))
        assert not emulate(state, person(name), Receive(topic=topic))


@both
def test_a_client_id_that_the_client_chose_gives_it_nothing(backend: Backend) -> None:
    module, emulate, _ = backend
    subjects = [admitted(*QUICKSTART, principal=person(name)) for name in ("a", "b")]
    artifact = module.render(subjects).artifact
    assert "%c" not in artifact
    assert not emulate(module.parse(artifact), person("a", client_id="b"), Publish(topic="north/b/up/x"))


def test_a_topic_that_postgresql_would_have_filled_in_is_left_out_and_redis_keeps_it() -> None:
    rule = bound("allow", "a/x%u", actions=PUBLISH)
    rendering = goauth_postgresql.render([admitted(rule)])
    assert rows(admitted(rule)) == GoAuthRows(members={}, roles=frozenset(), own=frozenset())
    assert deviations(rendering) == [("a/x%u", "narrower")]
    assert keys(admitted(rule)) == {"pump:wacls": {"a/x%u"}}


@pytest.mark.parametrize("name", ["common", "a:racls", "a:su", "x:y:rwacls"])
def test_a_username_whose_keys_would_be_those_of_others_gets_nothing_in_redis(name: str) -> None:
    rendering = goauth_redis.render([admitted(bound("allow", "a"), principal=person(name))])
    assert goauth_redis.parse(rendering.artifact) == GoAuthKeys()
    assert deviations(rendering) == [("a", "narrower")]
    assert keys(admitted(bound("allow", "a", actions=PUBLISH), principal=person("00:1b:44"))) == {
        "00:1b:44:wacls": {"a"}
    }


def test_the_sets_for_everybody_are_read_with_the_values_put_in() -> None:
    state = GoAuthKeys(sets={"common:wacls": frozenset({"c/%u/%c"}), "common:rwacls": frozenset({"rw"})})
    assert goauth_emulator.emulate_keys(state, person("u", "k"), Publish(topic="c/u/k"))
    assert goauth_emulator.emulate_keys(state, person("+", "k"), Publish(topic="c/anybody/k"))
    assert goauth_emulator.emulate_keys(state, person("u"), Receive(topic="rw"))
    assert not goauth_emulator.emulate_keys(state, person("u"), Subscribe(topic="rw"))


@both
def test_who_is_barred_or_absent_has_nothing(backend: Backend) -> None:
    module, _, _ = backend
    others = [
        RenderSubject(principal=person(name), policy=(), state=state)
        for name, state in (("x", Standing.BARRED), ("y", Standing.ABSENT))
    ]
    assert module.render(others).artifact == module.render([]).artifact


@pytest.mark.parametrize(
    ("saved", "given", "expected"),
    [
        ("a/+", "a/#", True),
        ("a/+/#", "a/#", True),
        ("a/+/c", "a/#", False),
        ("#", "$SYS/x", True),
        ("+/x", "$SYS/x", True),
        ("a/#", "a", True),
        ("$share/+/a", "$share/g/a", True),
        ("a", "$share/g/a", False),
        ("a/+", "a/", True),
        ("a/b", "a/+", False),
    ],
)
def test_filters_are_taken_for_names(saved: str, given: str, *, expected: bool) -> None:
    assert match(saved, given) is expected


def test_the_cache_is_told_of() -> None:
    assert (DeviationKind.WIDER, CACHED) in LIMITS
    assert (DeviationKind.NARROWER, REFUSED) in LIMITS


def cache_key(user: str, topic: str, client_id: str, acc: int) -> str:
    """As the plugin makes it (`cache/cache.go`), before it is put in base64."""
    return f"acl-{user}-{topic}-{client_id}-{acc}"


def test_what_the_cache_can_not_tell_apart_is_told_of() -> None:
    """Pump-7 may publish to tele, pump may not to 7-tele, and the cache answers both as one."""
    assert cache_key("pump-7", "tele", "x", 2) == cache_key("pump", "7-tele", "x", 2)
    assert cache_key("pump", "a", "b-c", 2) == cache_key("pump", "a-b", "c", 2)
    assert "auth-{}-{}".format("pump-7", "secret") == "auth-{}-{}".format("pump", "7-secret")
    bound_ids = cache_key("pump", "pump-a-pump", "pump", 2), cache_key("pump-pump", "a", "pump-pump", 2)
    assert bound_ids[0] == bound_ids[1]  # so bound client ids need names without hyphens
    assert (DeviationKind.WIDER, AMBIGUOUS) in LIMITS
    assert (DeviationKind.WIDER, READABLE) in LIMITS
    for word in ("auth_opt_cache false", "use_username_as_clientid true", "no hyphen"):
        assert word in AMBIGUOUS


@both
def test_that_another_backend_or_a_superuser_may_do_more_is_told_of(backend: Backend) -> None:
    limits = backend[0].CAPABILITIES.limits
    assert (DeviationKind.WIDER, ELSEWHERE) in limits
    assert "auth_opt_disable_superuser true" in ELSEWHERE


@both
def test_that_the_artifact_is_the_whole_is_told_with_it_even_if_nothing_is_left(backend: Backend) -> None:
    barred = RenderSubject(principal=person("x"), policy=(), state=Standing.BARRED)
    for subjects in ([], [barred], [admitted(*QUICKSTART)]):
        warnings = backend[0].render(subjects).warnings
        assert "all that there may be" in warnings[0]
        assert "one transaction" in warnings[0]
        assert "delete" in warnings[0]


def test_the_query_and_the_tables_come_with_the_rows() -> None:
    told = "\n".join(goauth_postgresql.render([]).warnings)
    assert f"auth_opt_pg_aclquery {ACL_QUERY}" in told
    assert "CREATE VIEW mqtt_acl" in told
    assert "CREATE TABLE mqtt_member" in told
    limits = goauth_postgresql.CAPABILITIES.limits
    assert (DeviationKind.WIDER, goauth_postgresql.WITHOUT_QUERY) in limits
    assert goauth_postgresql.WITHOUT_QUERY not in dict(goauth_redis.CAPABILITIES.limits).values()


def test_a_superuser_key_is_to_be_deleted_from_redis() -> None:
    assert any(":su" in warning and "Delete" in warning for warning in goauth_redis.render([]).warnings)


@both
def test_what_is_rendered_reads_back_whatever_the_order(backend: Backend) -> None:
    module, _, _ = backend
    subjects = [admitted(*QUICKSTART, principal=person(name)) for name in ("b", "a", "\u00e9", "%u", "a b")]
    artifact = module.render(subjects).artifact
    assert artifact == module.render(list(reversed(subjects))).artifact
    assert module.to_artifact(module.parse(artifact)) == artifact


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"mqtt_member": [], "mqtt_role_acl": [], "mqtt_own_acl": 1}'),
        '{"mqtt_member": [["a"]], "mqtt_role_acl": [], "mqtt_own_acl": []}',
        '{"mqtt_member": [], "mqtt_role_acl": [["r", "a", 3]], "mqtt_own_acl": []}',
        '{"mqtt_member": [], "mqtt_role_acl": [], "mqtt_own_acl": [["u", "", 1]]}',
    ],
)
def test_what_are_no_rows_is_refused(text: str) -> None:
    with pytest.raises(InvalidGoAuthRows):
        goauth_postgresql.parse(text)


@pytest.mark.parametrize("text", ["", "[]", '{"a": ["x"]}', '{"a:racls": []}', '{"a:racls": [1]}', '{"racls": ["x"]}'])
def test_what_are_no_keys_is_refused(text: str) -> None:
    with pytest.raises(InvalidGoAuthKeys):
        goauth_redis.parse(text)


@both
@pytest.mark.parametrize(("levels", "seed"), [(PLAIN, 51), ((*ODD, "%u"), 52)])
def test_engine_and_broker_agree_or_the_deviation_is_declared(
    backend: Backend, levels: tuple[str, ...], seed: int
) -> None:
    module, emulate, deliverable = backend
    dice = Dice(roll=random.Random(seed), levels=levels)
    for _ in range(65):
        policy: tuple[BoundRule, ...] = dice.policy()
        rendering = module.render([admitted(*policy)])
        state = module.parse(rendering.artifact)
        broker = Broker(
            allows=partial(emulate, state, PUMP),
            delivers=partial(deliverable, state, PUMP),
            deviations=rendering.deviations,
            excuses=limited,
        )
        for _ in range(6):
            request = dice.request(policy)
            assert unexplained(policy, request, broker) == "", (policy, state)
