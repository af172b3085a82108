"""Reading back which filters an expression was written for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acl.core.values import Action
from brokers.core.effects import Flow
from brokers.core.ports import EffectLine
from brokers.core.rabbitmq.filters import effect, flow_of
from brokers.core.rabbitmq.patterns import publish_pattern, subscribe_pattern
from brokers.core.rabbitmq.policy import desired_state
from brokers.core.rendering import canonical
from tests.brokers.subjects import ALL, DOWN, UP, rule, subject

LEVEL = st.sampled_from(
    ["a", "b", "+", "", "$x", "x y", "(z|", "\0", "\u00e9", "q\\", "[k]", "^", "w-1", "\x01", "x#y", "{u}"]
)
FILTER = st.builds(
    lambda levels, rest: canonical("/".join([*levels, "#"] if rest else levels)),
    st.lists(LEVEL, min_size=1, max_size=4),
    st.booleans(),
).filter(bool)


@given(allows=st.frozensets(FILTER, min_size=1, max_size=3), denies=st.frozensets(FILTER, max_size=3))
def test_both_kinds_of_expressions_are_read_back(allows: frozenset[str], denies: frozenset[str]) -> None:
    wanted = Flow(allows=allows, denies=denies)
    assert flow_of(publish_pattern(allows, denies), username="\0") == wanted
    assert flow_of(subscribe_pattern(allows, denies), username="\0") == Flow(
        allows=allows | _also(allows), denies=denies
    )


def _also(allows: frozenset[str]) -> frozenset[str]:
    """`+/+/#` covers `/#`, which has two levels to MQTT, and says so in an alternative of its own."""
    return frozenset({"/#"} if "+/+/#" in allows else ())


_GUARD = "^(?!\\z|\\$|[^*#]*[*#])"


@pytest.mark.parametrize(
    "pattern",
    [
        ".*", "^a$", "", f"{_GUARD}(?:a", f"{_GUARD}(?:a(?=b)\\z)",
        f"{_GUARD}(?:plant\\.a)", f"{_GUARD}(?:plant\\.[^.]*)", f"{_GUARD}(?:)", f"{_GUARD}(?:a\\z|)",
        f"{_GUARD}(?:a\\z|\\.#\\z)", f"{_GUARD}(?:[^.]+\\z)", f"{_GUARD}(?!a)(?:[^.]*\\z)",
        f"{_GUARD}(?:b\\z|a\\z)",
    ],
)  # fmt: skip
def test_an_expression_of_somebody_else_is_not_read(pattern: str) -> None:
    assert flow_of(pattern, username="pump") is None


def test_effect_names_filters_for_the_account() -> None:
    before = desired_state([subject("alpha", UP, DOWN), subject("beta", UP)])
    after = desired_state([subject("alpha", UP, ALL), subject("beta", rule("deny", frozenset(Action), "#"), UP)])
    found = effect(before, after)
    assert found.gain == (EffectLine(auth_id="alpha", action="subscribe", filter="north/all/#"),)
    assert found.lose == (
        EffectLine(auth_id="alpha", action="subscribe", filter="north/alpha/down/#"),
        EffectLine(auth_id="beta", action="publish", filter="north/beta/up/#"),
    )
