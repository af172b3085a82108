from __future__ import annotations

import json
from typing import Any

import pytest

from acl.core.values import Publish, Receive, Request, Subscribe
from brokers.core.emqx.acl import CAPABILITIES, parse, render
from brokers.core.emqx.emulator import emulate
from brokers.core.emqx.rule import NotEmqxRules
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from brokers.core.targets import EMQX_ACL
from tests.brokers.core.emqx_cast import PUBLISH, PUMP, admitted, barred, bound
from tests.brokers.core.trials import trial

CLOSING = [
    {"permission": "deny", "action": "all", "topic": topic} for topic in ("$SYS/#", "$delayed/#", "$file/#", "#")
]


def told(subject: RenderSubject) -> dict[str, Any]:
    """The lists as they stand in the artifact."""
    lists: dict[str, Any] = json.loads(render([subject]).artifact)
    return lists


def test_the_list_of_one_principal_is_expanded_and_closes_itself() -> None:
    subject = admitted(bound("allow", "${client_id}/up", actions=PUBLISH, qos=frozenset({1})), bound("deny", "x"))
    assert told(subject)["pump"] == [
        {"permission": "deny", "action": "subscribe", "topic": "x"},
        {"permission": "allow", "action": "publish", "topic": "pump-7/up", "qos": [1]},
        *CLOSING,
    ]


@pytest.mark.parametrize(("state", "lists"), [(Standing.BARRED, {"pump": CLOSING}), (Standing.ABSENT, {})])
def test_who_is_not_admitted_is_refused_everything(state: Standing, lists: dict[str, Any]) -> None:
    assert told(RenderSubject(principal=PUMP, policy=(bound("allow", "a"),), state=state)) == lists


def test_lists_stand_by_auth_id_and_who_has_none_is_refused() -> None:
    lists = parse(render([admitted(bound("allow", "a", actions=PUBLISH)), barred(auth_id="b")]).artifact)
    assert set(lists) == {"pump", "b"}
    assert emulate(lists, PUMP, Publish(topic="a"))
    other = admitted(auth_id="unknown").principal
    assert not emulate(lists, other, Publish(topic="a"))


@pytest.mark.parametrize(
    ("request_", "passed_on"),
    [
        (Publish(topic="$foo/x"), True),
        (Subscribe(topic="$foo/x"), True),
        (Subscribe(topic="$foo/#"), True),
        (Receive(topic="$foo/x"), True),
        (Publish(topic="foo/x"), False),
        (Subscribe(topic="#"), False),
        (Publish(topic="$SYS/x"), False),
        (Publish(topic="$delayed/1/a"), False),
        (Subscribe(topic="$file/x"), False),
    ],
)
def test_first_levels_that_begin_with_a_dollar_are_left_to_what_stands_behind_and_that_is_declared(
    request_: Request, *, passed_on: bool
) -> None:
    lists = parse(render([admitted(bound("allow", "a", actions=PUBLISH)), barred(auth_id="b")]).artifact)
    for who in (PUMP, barred(auth_id="b").principal):
        assert emulate(lists, who, request_, behind=True) is passed_on
        assert not emulate(lists, who, request_)
    assert not emulate(lists, admitted(auth_id="unknown").principal, request_, behind=True)
    assert any(kind is DeviationKind.WIDER and "no_match" in why for kind, why in CAPABILITIES.limits)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": [1]}', "[" * 100_000])
def test_what_is_not_the_format_is_refused(text: str) -> None:
    with pytest.raises(NotEmqxRules):
        parse(text)


@pytest.mark.parametrize("hostile", [True, False])
def test_engine_and_broker_agree_or_the_deviation_is_declared(*, hostile: bool) -> None:
    assert trial(EMQX_ACL, seed="emqx-acl", pairs=1_500, hostile=hostile).counts["unexplained"] == 0
