from __future__ import annotations

from typing import Any

import pytest

from acl.core.values import Publish, Retain, Shared, Subscribe
from brokers.core.nanomq.emulator import deliverable, emulate
from brokers.core.nanomq.file import parse
from brokers.core.nanomq.policy import BY_CLIENT_ID, limited, render
from brokers.core.ports import RenderSubject
from brokers.core.targets import NANOMQ
from tests.brokers.core.emqx_cast import PUBLISH, PUMP, SUBSCRIBE, admitted, barred, bound, told
from tests.brokers.core.trials import trial

BOTH = PUBLISH | SUBSCRIBE


def lines(*subjects: RenderSubject) -> list[str]:
    """The rules but for the last, which denies everything."""
    written = [line.strip(" ,") for line in render(subjects).artifact.splitlines()[2:-1]]
    assert written[-1] == '{"permit": "deny"}'
    return written[:-1]


def deny(action: str, *topics: str) -> str:
    listed = ", ".join(f'"{topic}"' for topic in topics)
    return f'{{"permit": "deny", "username": "pump", "action": "{action}", "topics": [{listed}]}}'


def allow(action: str, *topics: str) -> str:
    return deny(action, *topics).replace("deny", "allow")


def test_a_file_for_nobody_denies_everything() -> None:
    assert lines() == []
    assert not emulate(parse(render([]).artifact), PUMP, Publish(topic="a"))


def test_denies_stand_before_allows_and_everything_is_expanded() -> None:
    policy = (
        bound("allow", "${domain}/${client_id}/#", actions=BOTH),
        bound("deny", "north/pump-7/x", actions=PUBLISH),
    )
    assert lines(admitted(*policy)) == [
        deny("publish", "north/pump-7/x"),
        allow("publish", "north/pump-7/#"),
        allow("subscribe", "north/pump-7/#"),
    ]


def test_an_allow_that_ends_in_plus_is_preceded_by_a_literal_deny() -> None:
    assert lines(admitted(bound("allow", "a/+"))) == [deny("subscribe", "@a/#"), allow("subscribe", "a/+")]


def test_two_wildcards_with_one_at_the_end_are_allowed_literally() -> None:
    assert lines(admitted(bound("allow", "a/+/+"))) == [allow("subscribe", "@a/+/+")]
    assert told(render([admitted(bound("allow", "a/+/+"))])) == [("a/+/+", "narrower")]


def test_a_deny_that_the_broker_would_not_see_removes_the_allow() -> None:
    subject = admitted(bound("allow", "a/#"), bound("deny", "a/secret/#"))
    assert lines(subject) == [deny("subscribe", "a/secret/#")]
    assert told(render([subject])) == [("a/#", "narrower")]


@pytest.mark.parametrize("topic", ["#", "+/a", "+/+/#"])
def test_what_begins_with_a_wildcard_is_never_allowed(topic: str) -> None:
    subject = admitted(bound("allow", topic, actions=BOTH))
    assert (lines(subject), told(render([subject]))) == ([], [(topic, "narrower")])


def test_a_deny_that_begins_with_a_wildcard_hits_dollar_levels() -> None:
    subject = admitted(bound("allow", "$x/a", actions=PUBLISH), bound("deny", "#", actions=PUBLISH))
    assert told(render([subject])) == [("$x/a", "narrower")]
    assert not emulate(parse(render([subject]).artifact), PUMP, Publish(topic="$x/a"))


@pytest.mark.parametrize(
    "conditions",
    [
        {"qos": frozenset({0, 1})},
        {"retain": Retain.NEVER, "actions": PUBLISH},
        {"shared": Shared.NEVER},
        {"shared": Shared.ONLY, "shared_group": "g"},
    ],
)
def test_conditions_leave_allows_out_and_make_denies_unconditional(conditions: dict[str, Any]) -> None:
    action = "publish" if "retain" in conditions else "subscribe"
    allowed, denied = admitted(bound("allow", "a", **conditions)), admitted(bound("deny", "a", **conditions))
    assert (lines(allowed), told(render([allowed]))) == ([], [("a", "narrower")])
    assert (lines(denied), told(render([denied]))) == ([deny(action, "a")], [("a", "narrower")])


@pytest.mark.parametrize("value", ["@x", "x${username}", 'q"q', "b\\b"])
def test_what_would_be_misread_is_left_out_and_denied_as_any_level(value: str) -> None:
    subject = admitted(
        bound("allow", "${attr.v}/a", actions=PUBLISH),
        bound("deny", "${attr.v}/b", actions=PUBLISH),
        bound("allow", "c/b", actions=PUBLISH),
        attributes={"v": value},
    )
    assert lines(subject) == [deny("publish", "+/b"), allow("publish", "c/b")]
    assert told(render([subject])) == [
        ("${attr.v}/a", "narrower"),
        ("${attr.v}/b", "narrower"),
        ("c/b", "narrower"),
    ]


@pytest.mark.parametrize("name", ["#", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_can_not_be_told_gets_nothing(name: str) -> None:
    subject = admitted(bound("allow", "a"), username=name)
    assert (lines(subject), told(render([subject]))) == ([], [("a", "narrower")])


def test_who_is_barred_is_refused_by_name_without_topics_which_is_all() -> None:
    assert lines(barred()) == ['{"permit": "deny", "username": "pump"}']


def test_who_has_no_username_is_known_by_its_client_id() -> None:
    subject = admitted(bound("allow", "a"), username="")
    assert lines(subject) == ['{"permit": "allow", "clientid": "pump-7", "action": "subscribe", "topics": ["a"]}']
    assert render([subject]).warnings == (BY_CLIENT_ID,)


def test_shared_subscriptions_are_refused() -> None:
    subject = admitted(bound("allow", "a"))
    rules = parse(render([subject]).artifact)
    assert not emulate(rules, PUMP, Subscribe(topic="a", group="g"))
    assert limited(Subscribe(topic="a", group="g"))
    assert not limited(Subscribe(topic="a"))
    assert deliverable(rules, PUMP, Subscribe(topic="a"), "a")


@pytest.mark.parametrize("hostile", [True, False])
def test_engine_and_broker_agree_or_the_deviation_is_declared(*, hostile: bool) -> None:
    assert trial(NANOMQ, seed="nanomq", pairs=1_500, hostile=hostile).counts["unexplained"] == 0
