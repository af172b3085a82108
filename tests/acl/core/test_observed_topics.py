"""What is kept of the topics that were used: bounded, with placeholders, and never wider than the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl.core.analysis_filters import template_covers
from acl.core.observed_topics import describe, generalise, summarise
from acl.core.templates import parse, substitute
from acl.core.topics import covers
from acl.core.values import Effect, Principal

PUMP = Principal(
    id="x", auth_id="p-1", client_id="c-1", username="p-1", domain="north", attributes={"site": "hall", "line": "7"}
)


@pytest.mark.parametrize(
    ("rule", "used", "said"),
    [
        ("${domain}/${client_id}/up/#", "north/c-1/up/t", "${domain}/${client_id}/up/t"),
        ("#", "north/c-1/up/t", "${domain}/${client_id}/up/t"),
        ("${domain}/#", "north/p-1/x", "${domain}/${auth_id}/x"),
        ("a/+/c", "a/hall/c", "a/${attr.site}/c"),
        ("a/#", "a", "a"),
        ("a/#", "a/b/#", "a/b/#"),
        ("a/#", "a/+/c", "a/+/c"),
        ("a/#", "a/7", "a/7"),  # one character may equal an attribute by chance
        ("a/#", "a/${client_id}", "a/+"),  # sent as it stands
        ("a/#", "a/" + "x" * 65, "a/+"),
        ("a/#", "a/b\x07/c", "a/+/c"),
        ("a/#", "a/1/2/3/4/5/6/7/8/9/10/11/12/13", "a/1/2/3/4/5/6/7/8/9/10/11/#"),
        ("a/#", "b/x", "a/x"),  # not the rule's: still nothing beyond it
        ("/#", "/x", "/x"),
    ],
)
def test_use_is_told_as_a_template(rule: str, used: str, said: str) -> None:
    assert generalise(rule, used, PUMP) == said


def test_denied_topic_is_told_as_a_template() -> None:
    assert describe("other/c-1/x", PUMP) == "other/${client_id}/x"
    assert describe("$SYS/broker/uptime", PUMP) == "$SYS/broker/uptime"
    for unstorable in ("\0", "\ud800"):
        assert describe(f"${unstorable}/x", PUMP) == "+/x"
    assert describe("a/" + "b/" * 200 + "c", PUMP) == "a/b/b/b/b/b/b/b/b/b/b/b/#"


def test_many_filters_are_put_together_from_below() -> None:
    used = {f"a/x/{number}" for number in range(4)} | {"a/y"}
    assert summarise("a/#", used, most=3) == ("a/x/#", "a/y")
    assert summarise("a/#", used | {"a/z/1", "a/w/1"}, most=3) == ()
    assert summarise("a/+", {"a/1", "a/2", "a/3"}, most=2) == ()


def test_filter_that_another_covers_is_not_told() -> None:
    assert summarise("a/#", {"a/b", "a/b/#", "a/+/c"}) == ("a/+/c", "a/b/#")


levels = st.sampled_from(["a", "north", "c-1", "p-1", "hall", "", "${auth_id}", "x" * 70, "é"])
names = st.lists(levels, min_size=1, max_size=15).map("/".join).filter(bool)
rules = st.tuples(
    st.lists(st.sampled_from(["a", "${domain}", "${client_id}", "+", ""]), max_size=4), st.sampled_from(["#", "+", "a"])
).map(lambda parts: "/".join([*parts[0], parts[1]]))


@given(rule=rules, used=names)
def test_what_is_told_covers_the_use_and_is_covered_by_the_rule(rule: str, used: str) -> None:
    filter = substitute(parse(rule), PUMP, Effect.ALLOW).filter
    said = generalise(rule, used, PUMP)
    assert template_covers(rule, said)
    if filter is not None and covers(filter, used):
        assert covers(substitute(parse(said), PUMP, Effect.ALLOW).filter or "", used)


@given(rule=rules, used=st.lists(names, min_size=1, max_size=12), most=st.integers(1, 4))
def test_summary_covers_every_use_and_is_covered_by_the_rule(rule: str, used: list[str], most: int) -> None:
    said = [generalise(rule, each, PUMP) for each in used]
    found = summarise(rule, said, most=most)
    assert len(found) <= most
    assert all(template_covers(rule, each) for each in found)
    assert not found or all(any(template_covers(wide, each) for wide in found) for each in said)
