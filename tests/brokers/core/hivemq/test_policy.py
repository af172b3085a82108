from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from acl.core.values import Action, BoundRule, CertificateFields, Principal, Publish, Receive, Retain, Shared, Subscribe
from brokers.core.hivemq import ce_file as hivemq_ce_file
from brokers.core.hivemq import ese_file as hivemq_ese_file
from brokers.core.hivemq import ese_sql as hivemq_ese_sql
from brokers.core.hivemq.emulator import allows, deliverable_ese, emulate_ese, emulate_rbac
from brokers.core.hivemq.marks import MARK
from brokers.core.hivemq.permissions import NOTHING, Activity, Permission, Realm, Retained, Sharing
from brokers.core.hivemq.policy import NOTHING_ROLE, limited
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.targets import TARGETS, Target
from tests.brokers.core.faithfulness import PUMP
from tests.brokers.core.nats.test_policy import admitted, bound
from tests.brokers.core.trials import shrunk, trial

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
ROLE = (
    bound("allow", "${domain}/${client_id}/up/#", actions=PUBLISH),
    bound("allow", "${domain}/${client_id}/down/#", actions=SUBSCRIBE),
    bound("allow", "${domain}/all/#", actions=SUBSCRIBE),
)
SQL = partial(hivemq_ese_sql.render, client_id_proved=True)
FILE = partial(hivemq_ese_file.render, client_id_proved=True)
FORMATS: list[tuple[Callable[..., Rendering], Callable[[str], Realm]]] = [
    (hivemq_ese_sql.render, hivemq_ese_sql.parse),
    (hivemq_ese_file.render, hivemq_ese_file.parse),
    (hivemq_ce_file.render, hivemq_ce_file.parse),
]
formats = pytest.mark.parametrize(("render", "parse"), FORMATS, ids=["ese-sql", "ese-file", "ce-file"])


def person(name: str, **facts: object) -> Principal:
    return replace(PUMP, id=name, auth_id=name, client_id=name, username=name, **facts)  # type: ignore[arg-type]


def realm(*policy: BoundRule, principal: Principal = PUMP) -> Realm:
    return hivemq_ese_file.parse(hivemq_ese_file.render([admitted(*policy, principal=principal)]).artifact)


def held(*policy: BoundRule) -> set[Permission]:
    """What the account has, but for the permission that everybody has."""
    return set(realm(*policy).permissions_of("pump")) - {NOTHING}


def deviations(*policy: BoundRule, render: Callable[..., Rendering] = hivemq_ese_file.render) -> list[tuple[str, str]]:
    found = render([admitted(*policy)]).deviations
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in found]


def test_rules_are_spelled_out_for_each_account_where_the_client_id_is_its_own_choice() -> None:
    assert held(*ROLE) == {
        Permission(topic="north/pump/up/#", activity=Activity.PUBLISH),
        Permission(topic="north/pump/down/#", activity=Activity.SUBSCRIBE),
        Permission(topic="north/all/#", activity=Activity.SUBSCRIBE),
    }
    assert deviations(*ROLE) == []


@pytest.mark.parametrize(
    ("render", "parse", "variable"),
    [
        (SQL, hivemq_ese_sql.parse, "${mqtt-clientid}"),
        (FILE, hivemq_ese_file.parse, "${mqtt-clientid}"),
        (hivemq_ce_file.render, hivemq_ce_file.parse, "${{username}}"),
    ],
)
def test_a_role_is_written_once_for_all_where_the_broker_can_put_the_name_in(
    render: Callable[..., Rendering], parse: Callable[[str], Realm], variable: str
) -> None:
    ours = parse(render([admitted(*ROLE, principal=person(f"d{number}")) for number in range(20)]).artifact)
    [role] = set(ours.roles) - {NOTHING_ROLE}
    assert {permission.topic for permission in ours.roles[role]} == {
        f"north/{variable}/up/#",
        f"north/{variable}/down/#",
        "north/all/#",
    }
    assert {account.roles for account in ours.users.values()} == {(NOTHING_ROLE, role)}
    assert not any(account.permissions for account in ours.users.values())


@pytest.mark.parametrize("name", ["a${{clientid}}", "x\u00a7", "${mqtt-clientid}"])
def test_a_name_that_the_broker_would_read_otherwise_is_not_put_in_by_it(name: str) -> None:
    rule = bound("allow", "${auth_id}/x", actions=PUBLISH)
    for render, parse in ((FILE, hivemq_ese_file.parse), (hivemq_ce_file.render, hivemq_ce_file.parse)):
        ours = parse(render([admitted(rule, principal=person(name))]).artifact)
        topics = {permission.topic for permission in ours.permissions_of(name)} - {NOTHING.topic}
        assert topics <= {f"{name}/x"}
        assert "$" not in "".join(topics)


@pytest.mark.parametrize("seen", ["a", "b"])
def test_a_name_that_is_a_level_of_the_rules_as_well_is_compiled_by_itself(seen: str) -> None:
    policy = (bound("allow", "${auth_id}/x", actions=PUBLISH), bound("deny", "a/x", actions=PUBLISH))
    for render, parse in FORMATS:
        rendering = render([admitted(*policy, principal=person(name)) for name in ("a", "b")])
        held = parse(rendering.artifact).permissions_of(seen) - {NOTHING}
        assert bool(held) is (seen == "b")


@pytest.mark.parametrize(
    ("denied", "values", "left"),
    [
        ("a/b/#", {"x": "b"}, set()),
        ("a/b/#", {"x": "c"}, {"a/c/#"}),
        ("a/${attr.y}/#", {"x": "c", "y": "c"}, set()),
        ("a/${attr.y}/#", {"x": "c", "y": "d"}, {"a/c/#"}),
        ("a/${attr.y}/#", {"x": "c", "y": "a/b"}, set()),
        ("a/${auth_id}/#", {"x": "pump"}, set()),
    ],
)
def test_values_that_make_a_difference_to_the_rules_make_it_for_those_who_have_them(
    denied: str, values: dict[str, str], left: set[str]
) -> None:
    policy = (bound("allow", "a/${attr.x}/#", actions=PUBLISH), bound("deny", denied, actions=PUBLISH))
    others = [person(f"other-{x}{y}", attributes={"x": x, "y": y}) for x in "bcz" for y in "cdz"]
    for render, parse in FORMATS:
        people = [*others, person("pump", attributes=values)]
        ours = parse(render([admitted(*policy, principal=each) for each in people]).artifact)
        assert {permission.topic for permission in ours.permissions_of("pump") - {NOTHING}} == left


def test_a_private_character_in_a_value_stands_for_nothing_but_itself() -> None:
    who = person("pump", attributes={"x": MARK})
    rules = [bound("allow", "a/${attr.x}/#", actions=PUBLISH), bound("allow", f"b/{MARK}/#", actions=PUBLISH)]
    for render, parse in FORMATS:
        for rule in rules:
            ours = parse(render([admitted(rule, principal=who)]).artifact)
            topics = {permission.topic for permission in ours.permissions_of("pump")}
            assert topics == {NOTHING.topic, f"{rule.rule.topic[0]}/{MARK}/#"}


@pytest.mark.parametrize("name", ["{client_id}", "{x}", "$x", "a b"])
def test_a_name_beside_other_text_makes_no_variable(name: str) -> None:
    rule = bound("allow", "a/$${auth_id}/#", actions=PUBLISH)
    for render, parse in FORMATS:
        ours = parse(render([admitted(rule, principal=person(name))]).artifact)
        topics = {permission.topic for permission in ours.permissions_of(name)} - {NOTHING.topic}
        assert topics <= {f"a/${name}/#", "a/$${{username}}/#"}
        assert name[0] != "{" or not topics


def test_the_client_id_of_another_account_is_spelled_out() -> None:
    other = replace(PUMP, client_id="valve")
    rule = bound("allow", "x/${client_id}/up", actions=PUBLISH)
    for render in (FILE, hivemq_ce_file.render):
        artifact = render([admitted(rule, principal=other)]).artifact
        assert "<topic>x/valve/up</topic>" in artifact
        assert "${" not in artifact


def test_a_part_of_a_level_is_put_in_by_file_rbac_alone() -> None:
    rule = bound("allow", "x/dev-${auth_id}/up", actions=PUBLISH)
    assert "<topic>x/dev-${{username}}/up</topic>" in hivemq_ce_file.render([admitted(rule)]).artifact
    assert "<topic>x/dev-pump/up</topic>" in FILE([admitted(rule)]).artifact


def test_an_escape_before_a_variable_is_heeded() -> None:
    rule = bound("allow", "x\u00a7${auth_id}/up", actions=PUBLISH)
    ours = hivemq_ce_file.parse(hivemq_ce_file.render([admitted(rule)]).artifact)
    assert emulate_rbac(ours, PUMP, Publish(topic="x\u00a7pump/up"))


def test_the_name_of_a_certificate_is_put_in_where_it_is_the_accounts() -> None:
    rule = bound("allow", "x/${cert.cn}/up", actions=PUBLISH)
    named = person("pump", certificate=CertificateFields(cn="pump"))
    other = person("pump", certificate=CertificateFields(cn="else"))
    assert "x/${mqtt-clientid}/up" in FILE([admitted(rule, principal=named)]).artifact
    assert "x/else/up" in FILE([admitted(rule, principal=other)]).artifact


def test_a_deny_that_hits_one_account_alone_is_heeded_for_it_and_the_others_share_their_role() -> None:
    policy = (bound("allow", "x/${auth_id}/#", actions=PUBLISH), bound("deny", "x/pump/#", actions=PUBLISH))
    people = [person(name) for name in ("a", "b", "pump")]
    ours = hivemq_ce_file.parse(hivemq_ce_file.render([admitted(*policy, principal=each) for each in people]).artifact)
    assert ours.users["a"].roles == ours.users["b"].roles
    assert emulate_rbac(ours, people[0], Publish(topic="x/a/y"))
    assert not emulate_rbac(ours, people[2], Publish(topic="x/pump/y"))


def test_every_account_has_a_harmless_permission_since_without_any_it_could_do_everything() -> None:
    assert realm().permissions_of("pump") == {NOTHING}
    assert (NOTHING.activity, NOTHING.topic[0]) == (Activity.SUBSCRIBE, "$")
    assert not emulate_ese(realm(), PUMP, Publish(topic="a"))
    assert not emulate_ese(realm(), PUMP, Subscribe(topic="#"))


@formats
@pytest.mark.parametrize(
    "topic", ["$gatehouse/nothing", "$gatehouse/nothing//", "$gatehouse/#", "$gatehouse/+", "$gatehouse/+/+"]
)
def test_nobody_may_publish_where_everybody_may_subscribe(
    render: Callable[..., Rendering], parse: Callable[[str], Realm], topic: str
) -> None:
    rule = bound("allow", topic, actions=PUBLISH)
    rendering = render([admitted(rule)])
    held = parse(rendering.artifact).permissions_of("pump")
    assert held == {NOTHING}
    assert [(each.rule, each.kind) for each in rendering.deviations] == [(rule, DeviationKind.NARROWER)]
    assert not allows(held, Publish(topic="$gatehouse/nothing"))


def test_beside_the_harmless_topic_and_for_subscriptions_nothing_is_left_out() -> None:
    assert held(bound("allow", "$gatehouse/x/#", actions=PUBLISH)) != set()
    assert held(bound("allow", "$gatehouse/#", actions=SUBSCRIBE)) != set()


@formats
def test_a_name_that_makes_the_harmless_topic_is_compiled_by_itself(
    render: Callable[..., Rendering], parse: Callable[[str], Realm]
) -> None:
    rule = bound("allow", "$gatehouse/${auth_id}", actions=PUBLISH)
    ours = parse(render([admitted(rule, principal=person(name)) for name in ("nothing", "pump")]).artifact)
    assert ours.permissions_of("nothing") == {NOTHING}
    assert len(ours.permissions_of("pump")) == 2


def test_what_is_gained_needs_a_connect_and_what_is_lost_goes_on() -> None:
    for module in (hivemq_ese_sql, hivemq_ese_file, hivemq_ce_file):
        limits = module.CAPABILITIES.limits
        assert [kind for kind, why in limits if "who gains one" in why] == [DeviationKind.NARROWER]
        [(kind, why)] = [(kind, why) for kind, why in limits if why.startswith("Who loses a permission")]
        assert kind is DeviationKind.WIDER
        assert ("nobody can close a client" in why) is (module is hivemq_ce_file)


def test_what_hands_logins_on_in_file_rbac_is_told() -> None:
    wider = [why for kind, why in hivemq_ce_file.CAPABILITIES.limits if kind is DeviationKind.WIDER]
    assert any("next-extension-instead-of-fail" in why and "listener-names" in why for why in wider)


@formats
def test_who_is_absent_has_no_account(render: Callable[..., Rendering], parse: Callable[[str], Realm]) -> None:
    absent = RenderSubject(principal=PUMP, policy=(), state=Standing.ABSENT)
    assert "pump" not in parse(render([absent]).artifact).users


def test_who_is_barred_keeps_an_account_with_nothing_in_ese_and_has_none_in_file_rbac() -> None:
    barred = RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)
    for render, parse in FORMATS[:2]:
        assert parse(render([barred]).artifact).permissions_of("pump") == {NOTHING}
    assert hivemq_ese_sql.parse(hivemq_ese_sql.render([barred]).artifact).users["pump"].barred
    assert "pump" not in hivemq_ce_file.parse(hivemq_ce_file.render([barred]).artifact).users


@pytest.mark.parametrize("topic", ["#", "+", "+/b", "+/+/#"])
def test_a_first_level_that_is_a_wildcard_is_left_out(topic: str) -> None:
    assert held(bound("allow", topic)) == set()
    assert set(deviations(bound("allow", topic))) == {(topic, "narrower")}


def test_a_subscription_that_ends_in_plus_is_left_out_unless_all_below_is_allowed() -> None:
    assert held(bound("allow", "a/+", actions=SUBSCRIBE)) == set()
    assert deviations(bound("allow", "a/+", actions=SUBSCRIBE)) == [("a/+", "narrower")]
    ours = realm(bound("allow", "a/+", actions=SUBSCRIBE), bound("allow", "a/#", actions=SUBSCRIBE))
    assert deliverable_ese(ours, PUMP, Subscribe(topic="a/+"), "a/b")
    assert held(bound("allow", "a/+", actions=PUBLISH)) == {Permission(topic="a/+", activity=Activity.PUBLISH)}


def test_what_several_rules_cover_only_together_is_granted_and_declared() -> None:
    policy = (bound("allow", "a/+/#", actions=SUBSCRIBE), bound("allow", "a", actions=SUBSCRIBE))
    assert allows(held(*policy), Subscribe(topic="a/#"))
    assert ("a/+/#", "signalling") in deviations(*policy)


def test_a_filter_that_gets_too_long_by_the_name_is_void() -> None:
    """81,000 octets with the name, 1,600 with the mark that stands for names."""
    name, topic = "x" * 200, "/".join(["a", *["${auth_id}"] * 400])
    rendering = hivemq_ese_file.render([admitted(bound("allow", topic), principal=person(name))])
    assert hivemq_ese_file.parse(rendering.artifact).permissions_of(name) == {NOTHING}


def test_a_very_long_name_is_compiled_by_itself() -> None:
    who = person("x" * 300)
    assert (
        f"<topic>a/{who.auth_id}/#</topic>"
        in FILE([admitted(bound("allow", "a/${auth_id}/#"), principal=who)]).artifact
    )


def test_empty_levels_at_the_end_are_declared_wider() -> None:
    rule = bound("allow", "a/b", actions=PUBLISH)
    assert deviations(rule) == [("a/b", "wider")]
    assert allows(held(rule), Publish(topic="a/b/"))
    assert deviations(rule, bound("allow", "a/b/#", actions=PUBLISH)) == []
    assert deviations(rule, bound("allow", "a/#", actions=PUBLISH)) == []
    assert deviations(rule, bound("allow", "a/#", actions=PUBLISH, qos=frozenset({0}))) == [("a/b", "wider")]


def test_a_topic_whose_empty_levels_are_denied_is_left_out() -> None:
    policy = (bound("allow", "a/b", actions=PUBLISH), bound("deny", "a/b/+", actions=PUBLISH))
    assert held(*policy) == set()
    assert deviations(*policy) == [("a/b", "narrower")]
    far = (bound("allow", "a/b", actions=PUBLISH), bound("deny", "a/+/+/+/#", actions=PUBLISH))
    assert held(*far) == set()


@pytest.mark.parametrize("topic", ["/", "//", "a/+/", "a/+//"])
def test_what_would_be_another_filter_without_its_empty_levels_is_left_out(topic: str) -> None:
    assert held(bound("allow", topic)) == set()
    assert (topic, "narrower") in deviations(bound("allow", topic))


@formats
def test_a_value_that_looks_like_a_variable_is_left_out(
    render: Callable[..., Rendering], parse: Callable[[str], Realm]
) -> None:
    who = person("pump", attributes={"x": "${mqtt-clientid}", "y": "${{clientid}}"})
    rules = [bound("allow", f"a/${{attr.{name}}}/#", actions=PUBLISH) for name in "xy"]
    rendering = render([admitted(*rules, principal=who)])
    assert parse(rendering.artifact).permissions_of("pump") == {NOTHING}
    assert {each.kind for each in rendering.deviations} == {DeviationKind.NARROWER}


@pytest.mark.parametrize("topic", ["a/\x07b", "a/\ufdd0", "a/\x85"])
def test_what_hivemq_refuses_as_text_is_left_out(topic: str) -> None:
    assert held(bound("allow", topic)) == set()
    assert limited(Publish(topic=topic))
    assert not limited(Publish(topic="a/b"))
    assert limited(Publish(topic="$SYS/x"))
    assert not limited(Subscribe(topic="$SYS/x"))


def test_blanks_at_an_end_survive_in_rows_and_not_surely_in_files() -> None:
    rule = bound("allow", " a/#", actions=PUBLISH)
    assert held(rule) == set()
    rows = hivemq_ese_sql.parse(hivemq_ese_sql.render([admitted(rule)]).artifact)
    assert Permission(topic=" a/#", activity=Activity.PUBLISH, shared=Sharing.ALL) in rows.permissions_of("pump")


@pytest.mark.parametrize("name", ["a\nb", "\x01", "\ud800"])
@formats
def test_a_name_with_control_characters_gets_no_account(
    render: Callable[..., Rendering], parse: Callable[[str], Realm], name: str
) -> None:
    rendering = render([admitted(bound("allow", "a/#"), principal=person(name))])
    assert name not in parse(rendering.artifact).users
    assert [each.kind for each in rendering.deviations] == [DeviationKind.NARROWER]


def test_file_rbac_gives_no_account_to_what_it_would_refuse() -> None:
    rule = bound("allow", "a/#")
    for who in (person("a+b"), replace(PUMP, client_id="a#b")):
        rendering = hivemq_ce_file.render([admitted(rule, principal=who)])
        assert list(hivemq_ce_file.parse(rendering.artifact).users) == ["gh.nobody"]
        assert [each.kind for each in rendering.deviations] == [DeviationKind.NARROWER]


def test_conditions_that_files_can_say() -> None:
    assert held(bound("allow", "a/#", actions=PUBLISH, qos=frozenset({0, 2}), retain=Retain.ONLY)) == {
        Permission(topic="a/#", activity=Activity.PUBLISH, qos=frozenset({0, 2}), retain=Retained.RETAINED)
    }
    assert held(bound("allow", "a/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="g")) == {
        Permission(topic="a/#", activity=Activity.SUBSCRIBE, shared=Sharing.SHARED, group="g")
    }
    assert held(bound("allow", "a/#", shared=Shared.NEVER)) == {
        Permission(topic="a/#", activity=Activity.PUBLISH),
        Permission(topic="a/#", activity=Activity.SUBSCRIBE, shared=Sharing.NOT_SHARED),
    }
    assert held(bound("allow", "a/#")) == {Permission(topic="a/#")}


def test_a_deny_of_some_qos_takes_those_away() -> None:
    denied = bound("deny", "a/#", actions=PUBLISH, qos=frozenset({2}))
    assert held(bound("allow", "a/#", actions=PUBLISH), denied) == {
        Permission(topic="a/#", activity=Activity.PUBLISH, qos=frozenset({0, 1}))
    }


def test_a_deny_of_one_shared_group_takes_all_groups_that_have_no_name_with_it() -> None:
    policy = (
        bound("allow", "a/#", actions=SUBSCRIBE),
        bound("deny", "a/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="g"),
        bound("deny", "b/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="h"),
    )
    assert held(*policy) == {
        Permission(topic="a/#", activity=Activity.SUBSCRIBE, shared=Sharing.NOT_SHARED),
        Permission(topic="a/#", activity=Activity.SUBSCRIBE, group="h"),
    }
    assert not allows(held(*policy), Subscribe(topic="a/b", group="g"))
    assert allows(held(*policy), Subscribe(topic="a/b", group="h"))
    assert allows(held(*policy), Subscribe(topic="a/b"))
    assert ("a/#", "narrower") in deviations(*policy)


def test_receiving_is_what_some_subscription_is_granted() -> None:
    ours = realm(bound("allow", "a/#", actions=SUBSCRIBE, shared=Shared.ONLY, shared_group="g"))
    assert emulate_ese(ours, PUMP, Receive(topic="a/b"))
    assert not emulate_ese(ours, PUMP, Receive(topic="b"))


TRIED = {
    **{name: target for name, target in TARGETS.items() if name.startswith("hivemq-")},
    "sql, client id proved": replace(TARGETS["hivemq-ese-sql"], renders=SQL),
    "file, client id proved": replace(TARGETS["hivemq-ese-file"], renders=FILE),
}


@pytest.mark.parametrize("target", TRIED.values(), ids=TRIED)
def test_engine_and_hivemq_agree_or_the_deviation_is_declared(target: Target) -> None:
    found = trial(target, seed="hivemq", pairs=1_500)
    if found.first is not None:
        case = shrunk(target, found.first)
        pytest.fail(f"{case.fault_on(target)}\n{case.told()}")
    assert found.counts["agreed"] > 1_000


def test_nothing_is_wider_but_by_empty_levels_at_the_end() -> None:
    """Short topics of few levels, where those come up often."""
    roll = random.Random(7)
    names = ["/".join(roll.choices(("a", "b", "", ""), k=roll.randint(1, 4))) or "a" for _ in range(60)]
    for _ in range(60):
        policy = tuple(
            bound(roll.choice(("allow", "allow", "deny")), roll.choice(names), actions=PUBLISH) for _ in range(3)
        )
        rendering = hivemq_ese_file.render([admitted(*policy)])
        ours = hivemq_ese_file.parse(rendering.artifact)
        wider = {each.rule.rule.topic.rstrip("/") for each in rendering.deviations if each.kind is DeviationKind.WIDER}
        allowed = {each.rule.topic for each in policy if each.rule.effect == "allow"}
        denied = {each.rule.topic for each in policy if each.rule.effect == "deny"}
        for name in names:
            if emulate_ese(ours, PUMP, Publish(topic=name)):
                assert name not in denied
                assert name in allowed or name.rstrip("/") in wider
