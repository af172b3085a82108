from __future__ import annotations

import pytest

from brokers.core.nanomq.file import NanomqAction, NanomqRule, NanomqWho, NotNanomqAcl, parse, write

# The example of NanoMQ's documentation, which has no commas between rules, and one with commas and other comments.
DOCUMENTED = """\
rules = [
## Allow MQTT client using username "dashboard" to subscribe to "$SYS/#" topics
{"permit": "allow", "username": "dashboard", "action": "subscribe", "topics": ["$SYS/#"]}
## Deny "All Users" subscribe to "$SYS/#" "#" Topics
{"permit": "deny", "username": "#", "action": "subscribe", "topics": ["$SYS/#", "#"]}
## Allow any other publish/subscribe operation
{"permit": "allow"}
]
"""


def test_the_documented_example_is_read_with_its_lines() -> None:
    rules = parse(DOCUMENTED)
    assert [rule.line for rule in rules] == [3, 5, 7]
    assert rules == (
        NanomqRule(
            allow=True,
            action=NanomqAction.SUBSCRIBE,
            who=(NanomqWho("username", "dashboard"),),
            topics=("$SYS/#",),
        ),
        NanomqRule(
            allow=False,
            action=NanomqAction.SUBSCRIBE,
            who=(NanomqWho("username", "#"),),
            topics=("$SYS/#", "#"),
        ),
        NanomqRule(allow=True),
    )
    assert parse(write(rules)) == rules


def test_commas_comments_and_joined_conditions_are_read() -> None:
    text = """# head
    rules: [ // list
      {"permit": "deny", "and": [{"username": "a"}, {"clientid": "b"}], "action": "pubsub"},
      {"permit": "allow", "or": [{"ipaddr": "127.0.0.1"}]},
    ]
    # end"""
    rules = parse(text)
    assert [(rule.joined, rule.who) for rule in rules] == [
        ("and", (NanomqWho("username", "a"), NanomqWho("clientid", "b"))),
        ("or", (NanomqWho("ipaddr", "127.0.0.1"),)),
    ]
    assert parse(write(rules)) == rules


def test_a_file_without_rules_is_read() -> None:
    assert parse("rules = []") == ()
    assert parse(write(())) == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("{}", 1),
        ("\nrules = 1", 2),
        ("rules = [", 1),
        ('rules = [\n{"permit": "deny"', 2),
        ('rules = [\n{"permit": "deny"}]\nmore', 3),
        ("rules = [\n1]", 2),
        ("rules = [\n{}]", 2),
        ('rules = [\n{"permit": "deny", "qos": 1}]', 2),
        ('rules = [\n{"permit": "deny", "action": "connect"}]', 2),
        ('rules = [\n{"permit": "deny", "topics": "a"}]', 2),
        ('rules = [\n{"permit": "deny", "topics": [1]}]', 2),
        ('rules = [\n{"permit": "deny", "username": 1}]', 2),
        ('rules = [\n{"permit": "deny", "username": "a", "clientid": "b"}]', 2),
        ('rules = [\n{"permit": "deny", "and": {"username": "a"}}]', 2),
        ('rules = [\n{"permit": "deny", "or": [{"zone": "a"}]}]', 2),
        ('rules = [\n{"permit": "deny", "or": ["a"]}]', 2),
        ("rules = [\n" + "[" * 100_000, 2),
    ],
)
def test_what_is_not_understood_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(NotNanomqAcl, match=f"Line {line}: "):
        parse(text)
