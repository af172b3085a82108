from __future__ import annotations

from collections.abc import Iterator
from time import process_time

from hypothesis import given, settings
from hypothesis.strategies import integers

from acl.core.analysis_diff import FilterChange, filters_gained_and_lost
from acl.core.analysis_effect import have_a_say
from acl.core.analysis_filters import Equality, common_part, fewest, without
from acl.core.analysis_work import Work
from acl.core.evaluation import PrincipalPolicy
from acl.core.rules import RuleSpec
from acl.core.topics import matches
from acl.core.values import Action, Allow, BoundRule, Effect, Publish, Retain, Shared, Subscribe
from tests.acl.core.reference import all_names
from tests.acl.core.strategies import ANYBODY, policies
from tests.acl.core.test_analysis_who_can import role

NAMES = [name for name in all_names() if name.count("/") < 3]


def rule(effect: str, topic: str, action: str = "publish", **conditions: object) -> RuleSpec:
    actions = frozenset({Action(action)})
    return RuleSpec(effect=Effect(effect), actions=actions, topic=topic, **conditions)  # type: ignore[arg-type]


def gained(before: list[RuleSpec], after: list[RuleSpec]) -> list[tuple[str, tuple[str, ...]]]:
    return [(change.filter, change.without) for change in filters_gained_and_lost(before, after).gained]


def test_a_new_deny_loses_just_what_it_takes_from_an_allow() -> None:
    found = filters_gained_and_lost([rule("allow", "a/#")], [rule("allow", "a/#"), rule("deny", "+/secret/#")])
    assert found.gained == ()
    assert found.lost == (FilterChange(action=Action.PUBLISH, filter="a/secret/#"),)


def test_a_wider_allow_gains_all_but_what_was_allowed_and_what_is_denied() -> None:
    before = [rule("allow", "${domain}/${client_id}/up/#")]
    after = [rule("allow", "${domain}/#"), rule("deny", "+/keys/#")]
    assert gained(before, after) == [("${domain}/#", ("${domain}/${client_id}/up/#", "${domain}/keys/#"))]


def test_a_rule_that_others_make_superfluous_changes_nothing() -> None:
    found = filters_gained_and_lost([rule("allow", "a/+/#"), rule("allow", "a")], [rule("allow", "a/#")])
    assert (found.gained, found.lost) == ((), ())


def test_a_deny_that_goes_frees_what_only_some_values_spell() -> None:
    found = filters_gained_and_lost(
        [rule("allow", "hall/a"), rule("deny", "${attr.site}/a")], [rule("allow", "hall/a")]
    )
    at_the_hall, unknown = found.gained
    assert (at_the_hall.filter, at_the_hall.where) == ("hall/a", (Equality(left="hall", right="${attr.site}"),))
    assert (unknown.filter, unknown.lacking) == ("hall/a", ("attr.site",))  # there the deny was +/a


def test_conditions_say_in_which_ways_something_is_gained() -> None:
    before = [rule("allow", "a", qos=frozenset({0}))]
    [more] = filters_gained_and_lost(before, [rule("allow", "a", retain=Retain.NEVER)]).gained
    assert (more.qos, more.retain) == (frozenset({1, 2}), Retain.NEVER)
    shared = rule("allow", "a", "subscribe", shared=Shared.ONLY, shared_group="g")
    [group] = filters_gained_and_lost([], [shared]).gained
    assert (group.shared, group.shared_group) == (Shared.ONLY, "g")
    plain_and_others = filters_gained_and_lost([shared], [rule("allow", "a", "subscribe")]).gained
    assert [(change.shared, change.other_than) for change in plain_and_others] == [(Shared.ANY, ("g",))]


def test_common_part_of_templates() -> None:
    def of(left: str, right: str) -> str | None:
        found = common_part(left, right)
        return found.filter if found else None

    assert of("a/#", "+/b/#") == "a/b/#"
    assert of("a/#", "a") == "a"
    assert of("a/+", "+/b") == "a/b"
    assert of("#", "/#") == "/#"
    assert of("#", "$SYS/#") is None
    assert of("${client_id}/a", "$SYS/a") is None  # no value at the first level begins with $
    assert of("pump-${client_id}", "valve-7") is None
    assert of("${client_id}/a", "/a") is None  # no value is empty
    assert of("+/${client_id}", "${domain}/+") == "${domain}/${client_id}"


def test_fewest_and_without() -> None:
    assert fewest(["a/b", "a/#", "+/#", "#", "$SYS"]) == ("#", "$SYS")
    assert without("a/#", ["+/b", "a/c/#", "a/c/d", "b"]) == ("a/b", "a/c/#")
    assert without("a/+", ["a/#"]) is None


@settings(max_examples=40)
@given(policies, policies)
def test_every_name_that_is_gained_is_said_and_no_other(old: tuple[BoundRule, ...], new: tuple[BoundRule, ...]) -> None:
    said = filters_gained_and_lost([bound.rule for bound in old], [bound.rule for bound in new]).gained
    for way, really in _ways_gained(old, new):
        assert any(_says(change, way) for change in said) == really, way


@settings(max_examples=20)
@given(policies, policies, integers(0, 60))
def test_no_name_that_is_gained_is_hidden_however_little_work_is_done(
    old: tuple[BoundRule, ...], new: tuple[BoundRule, ...], steps: int
) -> None:
    said = filters_gained_and_lost([bound.rule for bound in old], [bound.rule for bound in new], Work(steps)).gained
    for way, really in _ways_gained(old, new):
        assert any(_says(change, way) for change in said) or not really, way


def _ways_gained(old: tuple[BoundRule, ...], new: tuple[BoundRule, ...]) -> Iterator[tuple[Publish | Subscribe, bool]]:
    """Each way of doing something, and whether it is gained as the engine judges it."""
    before, after = PrincipalPolicy(old, ANYBODY), PrincipalPolicy(new, ANYBODY)
    for name in NAMES:
        ways: list[Publish | Subscribe] = [
            *(Publish(topic=name, qos=qos, retain=retain) for qos in range(3) for retain in (False, True)),
            *(Subscribe(topic=name, qos=qos, group=group) for qos in range(3) for group in (None, "g", "h", "other")),
        ]
        for way in ways:
            yield way, isinstance(after.evaluate(way), Allow) and not isinstance(before.evaluate(way), Allow)


def _says(change: FilterChange, way: Publish | Subscribe) -> bool:
    about = Action.PUBLISH if isinstance(way, Publish) else Action.SUBSCRIBE
    if change.action is not about or way.qos not in change.qos:
        return False
    if not matches(change.filter, way.topic) or any(matches(text, way.topic) for text in change.without):
        return False
    if isinstance(way, Publish):
        return change.retain is Retain.ANY or (change.retain is Retain.ONLY) == way.retain
    if change.shared is Shared.ONLY or way.group in change.other_than:
        return way.group not in (None, *change.other_than) and change.shared_group in (None, way.group)
    return change.shared is Shared.ANY or way.group is None


def test_what_would_be_too_much_work_is_gained_as_a_whole() -> None:
    allows = [rule("allow", f"+/a{n}/+") for n in range(250)]
    denies = [rule("deny", f"+/+/b{n}") for n in range(250)]
    started = process_time()
    found = filters_gained_and_lost([*allows, *denies], allows)
    assert process_time() - started < 5
    assert found.bounded
    assert {f"+/+/b{n}" for n in range(250)} <= {change.filter for change in found.gained}
    assert all(change.without == () for change in found.gained)
    new = filters_gained_and_lost([], [*allows, *denies])
    assert {change.filter for change in new.gained} == {each.topic for each in allows}


def test_many_shared_groups_are_told_exactly() -> None:
    groups = [rule("allow", f"a{n}/+", "subscribe", shared=Shared.ONLY, shared_group=f"g{n}") for n in range(30)]
    plain = [rule("allow", f"b{n}/+", "subscribe") for n in range(30)]
    found = filters_gained_and_lost([], [*groups, *plain, rule("deny", "+/c", "subscribe")])
    assert not found.bounded
    said = [(change.filter, change.without, change.shared_group) for change in found.gained]
    assert sorted(said, key=str) == sorted(
        [(f"a{n}/+", (f"a{n}/c",), f"g{n}") for n in range(30)] + [(f"b{n}/+", (f"b{n}/c",), None) for n in range(30)],
        key=str,
    )


def test_a_gain_is_told_though_no_work_may_be_done() -> None:
    before = [rule("allow", "a/#"), rule("deny", "a/${client_id}")]
    found = filters_gained_and_lost(before, [rule("allow", "a/#"), rule("allow", "b")], Work(0))
    said = {(change.filter, change.lacking) for change in found.gained}
    assert said == {("b", ()), ("a/${client_id}", ()), ("a/#", ("client_id",))}
    assert found.bounded


def test_all_rules_have_a_say_once_nobody_has_the_work_left_to_tell() -> None:
    near, far = role("a/+").rules[0], role("b").rules[0]
    changed = [rule("allow", "a/#"), rule("deny", "a/x")]
    assert have_a_say([near, far], changed) == (near,)
    assert have_a_say([near, far], changed, Work(0)) == (near, far)
