from __future__ import annotations

import pytest

from brokers.core.emqx.file_reading import read_rules
from brokers.core.emqx.file_rules import EVERYBODY, FileRule, FileTopic, Who, WhoKind, write_rule
from brokers.core.emqx.rule import EmqxAction

# As EMQX 5.8 ships it, without the comments at its head.
SHIPPED = """\
{allow, {username, {re, "^dashboard$"}}, subscribe, ["$SYS/#"]}.

{allow, {ipaddr, "127.0.0.1"}, all, ["$SYS/#", "#"]}.

{deny, all, subscribe, ["$SYS/#", {eq, "#"}, {eq, "+/#"}]}.

%% Everything else
{allow, all}.
"""


def only(text: str) -> FileRule:
    (rule,), faults = read_rules(text)
    assert faults == ()
    return rule


def test_the_file_that_is_shipped_is_read_with_its_lines() -> None:
    rules, faults = read_rules(SHIPPED)
    assert faults == ()
    assert [rule.line for rule in rules] == [1, 3, 5, 8]
    assert rules == (
        FileRule(
            allow=True,
            who=Who(kind=WhoKind.USERNAME, value="^dashboard$", regex=True),
            action=EmqxAction.SUBSCRIBE,
            topics=(FileTopic(topic="$SYS/#"),),
        ),
        FileRule(
            allow=True,
            who=Who(kind=WhoKind.ADDRESS, addresses=("127.0.0.1",)),
            topics=(FileTopic(topic="$SYS/#"), FileTopic(topic="#")),
        ),
        FileRule(
            allow=False,
            who=EVERYBODY,
            action=EmqxAction.SUBSCRIBE,
            topics=(
                FileTopic(topic="$SYS/#"),
                FileTopic(topic="#", literal=True),
                FileTopic(topic="+/#", literal=True),
            ),
        ),
        FileRule(allow=True, who=EVERYBODY),
    )


@pytest.mark.parametrize(
    ("who", "read"),
    [
        ("all", EVERYBODY),
        ('{user, "a"}', Who(kind=WhoKind.USERNAME, value="a")),
        ('{username, <<"a">>}', Who(kind=WhoKind.USERNAME, value="a")),
        ("{client, a}", Who(kind=WhoKind.CLIENTID, value="a")),
        ('{clientid, {re, "^a"}}', Who(kind=WhoKind.CLIENTID, value="^a", regex=True)),
        ('{client_attr, "site", "x"}', Who(kind=WhoKind.CLIENT_ATTR, name="site", value="x")),
        ('{client_attr, site, {re, "x"}}', Who(kind=WhoKind.CLIENT_ATTR, name="site", value="x", regex=True)),
        ('{ipaddrs, ["10.0.0.0/8", "::1"]}', Who(kind=WhoKind.ADDRESS, addresses=("10.0.0.0/8", "::1"))),
        ("{zone, default}", Who(kind=WhoKind.ZONE, value="default")),
        ("{listener, 'ssl:default'}", Who(kind=WhoKind.LISTENER, value="ssl:default")),
        ("{security_profile, hardened}", Who(kind=WhoKind.PROFILE, value="hardened")),
        (
            "{'and', [{'or', [{user, \"a\"}]}, all]}",
            Who(
                kind=WhoKind.AND,
                parts=(Who(kind=WhoKind.OR, parts=(Who(kind=WhoKind.USERNAME, value="a"),)), EVERYBODY),
            ),
        ),
    ],
)
def test_whom_a_rule_is_about_is_read_and_written(who: str, read: Who) -> None:
    rule = only(f'{{deny, {who}, all, ["a"]}}.')
    assert rule.who == read
    assert only(write_rule(rule)) == rule


@pytest.mark.parametrize(
    ("action", "about", "qos", "retain"),
    [
        ("publish", "publish", {0, 1, 2}, None),
        ("{publish, [{qos, 1}, {retain, false}]}", "publish", {1}, False),
        ("{publish, {retain, true}}", "publish", {0, 1, 2}, True),
        ("{subscribe, {qos, 2}}", "subscribe", {2}, None),
        ("{subscribe, [{qos, [0, 1]}]}", "subscribe", {0, 1}, None),
        ("{all, [{qos, 0}, {qos, 2}, {retain, all}]}", "all", {0, 2}, None),
        ("{all, []}", "all", {0, 1, 2}, None),
        ("{publish, [{qos, []}]}", "publish", set(), None),
    ],
)
def test_actions_are_read_and_written(action: str, about: str, qos: set[int], retain: bool | None) -> None:
    rule = only(f'{{allow, all, {action}, ["a"]}}.')
    assert (rule.action.value, rule.qos, rule.retain) == (about, frozenset(qos), retain)
    assert only(write_rule(rule)) == rule


def test_topics_are_read_and_written() -> None:
    rule = only('{allow, all, publish, ["a/${clientid}", {eq, "b/#"}, <<"c">>, "eq d/+", "e\\"f"]}.')
    assert [(topic.topic, topic.literal) for topic in rule.topics or ()] == [
        ("a/${clientid}", False),
        ("b/#", True),
        ("c", False),
        ("d/+", True),
        ('e"f', False),
    ]
    assert only(write_rule(rule)) == rule
    assert only("{deny, all, publish, all}.").topics is None
    assert only("{deny, all, publish, []}.").topics == ()


@pytest.mark.parametrize(
    "text",
    [
        "{maybe, all.",
        "{maybe, all}.",
        "[allow, all].",
        "{allow}.",
        "{allow, all, publish}.",
        '{allow, nobody, publish, ["a"]}.',
        '{allow, {username}, publish, ["a"]}.',
        '{allow, {username, 1}, publish, ["a"]}.',
        '{allow, {username, {like, "a"}}, publish, ["a"]}.',
        "{allow, {'and', all}, publish, [\"a\"]}.",
        '{allow, {ipaddrs, [1]}, publish, ["a"]}.',
        "{allow, {security_profile, strict}}.",
        '{allow, all, connect, ["a"]}.',
        '{allow, all, {publish, [{qos, 3}]}, ["a"]}.',
        '{allow, all, {publish, [{qos, a}]}, ["a"]}.',
        '{allow, all, {publish, [{retain, maybe}]}, ["a"]}.',
        '{allow, all, {publish, [{size, 3}]}, ["a"]}.',
        '{allow, all, publish, "a"}.',
        "{allow, all, publish, [1]}.",
        "{allow, all, publish, [{eq, 1}]}.",
        '{allow, all, publish, [""]}.',
    ],
)
def test_what_is_not_understood_is_named_with_its_line_and_the_rest_is_read(text: str) -> None:
    rules, faults = read_rules(f"{{deny, all}}.\n{text}\n{{allow, all}}.\n")
    assert [fault.line for fault in faults] == [2]
    assert [rule.line for rule in rules] == [1, 3]
