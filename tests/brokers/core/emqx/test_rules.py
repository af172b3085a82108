from __future__ import annotations

import json

import pytest

from acl.core.values import Publish, Subscribe
from brokers.core.emqx.identity import BY_CLIENT_ID
from brokers.core.emqx.rule import NotEmqxRules
from brokers.core.emqx.rules import MOST_RULES, WHOLE, parse, render, write
from brokers.core.emqx.rules_emulator import deliverable, emulate
from brokers.core.ports import RenderSubject, Standing
from brokers.core.targets import EMQX_RULES
from tests.brokers.core.emqx_cast import PUBLISH, PUMP, admitted, barred, bound, told
from tests.brokers.core.trials import trial


def test_the_artifact_has_the_setting_the_rules_for_all_and_one_line_for_each_name() -> None:
    rendering = render([admitted(bound("allow", "${client_id}/+"))])
    assert rendering.artifact == (
        '{"settings": {"no_match": "deny"},\n'
        '"all": [{"permission": "deny", "action": "all", "topic": "$SYS/#"}, '
        '{"permission": "deny", "action": "all", "topic": "$delayed/#"}, '
        '{"permission": "deny", "action": "all", "topic": "$file/#"}, '
        '{"permission": "deny", "action": "all", "topic": "#"}],\n'
        '"clients": {\n\n},\n'
        '"users": {\n'
        '"pump": [{"permission": "deny", "action": "subscribe", "topic": "eq pump-7/#"}, '
        '{"permission": "allow", "action": "subscribe", "topic": "pump-7/+"}]\n'
        "}}\n"
    )
    assert write(parse(rendering.artifact)) == rendering.artifact
    assert json.loads(rendering.artifact)["settings"] == {"no_match": "deny"}


def test_a_principal_has_rules_in_one_scope_only() -> None:
    rule = bound("allow", "a")
    state = parse(render([admitted(rule), admitted(rule, username="", auth_id="x", client_id="x")]).artifact)
    assert (set(state.users), set(state.clients)) == ({"pump"}, {"x"})


def test_whoever_is_known_by_its_client_id_is_warned_of() -> None:
    assert render([admitted(username="")]).warnings == (WHOLE, BY_CLIENT_ID)
    assert render([admitted()]).warnings == (WHOLE,)


def test_that_rules_of_other_names_have_to_be_deleted_is_told_even_if_nothing_is_left() -> None:
    assert render([]).warnings == (WHOLE,)
    assert "DELETE /api/v5/authorization/sources/built_in_database/rules/users/" in WHOLE


def test_who_can_not_be_told_apart_gets_nothing() -> None:
    rule = bound("allow", "a")
    twins = render([admitted(rule), admitted(rule, auth_id="twin", client_id="other")])
    assert parse(twins.artifact).users == {}
    assert told(twins) == [("a", "narrower")]
    assert twins.deviations[0].principals == ("pump", "twin")
    nameless = render([admitted(rule), admitted(bound("allow", "b"), auth_id="x", username="")])  # client id pump-7 too
    assert (set(parse(nameless.artifact).users), parse(nameless.artifact).clients) == ({"pump"}, {})
    assert told(nameless) == [("b", "narrower")]


def test_who_has_no_name_gets_nothing() -> None:
    rendering = render([admitted(bound("allow", "a"), username="", client_id="")])
    assert (parse(rendering.artifact).users, parse(rendering.artifact).clients) == ({}, {})
    assert told(rendering) == [("a", "narrower")]


def test_who_is_barred_is_refused_by_name_and_who_is_absent_is_not_there() -> None:
    absent = RenderSubject(principal=PUMP, policy=(), state=Standing.ABSENT)
    assert parse(render([absent]).artifact).users == {}
    state = parse(render([barred()]).artifact)
    assert state.users["pump"] == state.everyone
    assert not emulate(state, PUMP, Publish(topic="a"))


def test_more_rules_than_emqx_takes_are_none() -> None:
    most = [bound("allow", f"t/{number}", actions=PUBLISH) for number in range(MOST_RULES)]
    state = parse(render([admitted(*most)]).artifact)
    assert len(state.users["pump"]) == MOST_RULES
    assert emulate(state, PUMP, Publish(topic="t/97"))
    rendering = render([admitted(*most, bound("deny", "t/100", actions=PUBLISH))])
    state = parse(rendering.artifact)
    assert state.users["pump"] == state.everyone
    assert not emulate(state, PUMP, Publish(topic="t/97"))
    assert {kind for _, kind in told(rendering)} == {"narrower"}


def test_a_literal_deny_closes_what_the_broker_would_admit() -> None:
    state = parse(render([admitted(bound("allow", "a/+"))]).artifact)
    assert not emulate(state, PUMP, Subscribe(topic="a/#"))
    assert deliverable(state, PUMP, Subscribe(topic="a/+"), "a/b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"all": []}',
        '{"settings": {}, "all": [], "clients": [], "users": {}}',
        '{"settings": {}, "all": {}, "clients": {}, "users": {}}',
        '{"settings": {}, "all": [{}], "clients": {}, "users": {}}',
    ],
)
def test_what_is_not_the_format_is_refused(text: str) -> None:
    with pytest.raises(NotEmqxRules):
        parse(text)


def test_a_setting_that_is_not_deny_is_read_as_allow() -> None:
    assert parse('{"settings": {}, "all": [], "clients": {}, "users": {}}').no_match == "allow"
    assert parse('{"settings": null, "all": [], "clients": {}, "users": {}}').no_match == "allow"


@pytest.mark.parametrize("hostile", [True, False])
def test_engine_and_broker_agree_or_the_deviation_is_declared(*, hostile: bool) -> None:
    assert trial(EMQX_RULES, seed="emqx-rules", pairs=1_500, hostile=hostile).counts["unexplained"] == 0
