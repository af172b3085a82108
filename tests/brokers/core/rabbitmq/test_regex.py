"""Where Python's engine says what PCRE says, and that nothing else is tried. Answers as RabbitMQ 3.10.8 gave them."""

from __future__ import annotations

import pytest

from brokers.core.rabbitmq.regex import UnknownRegex, found


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        ("^a$", "a", True),
        ("^a$", "a\n", True),  # $ is before a last line feed, too
        (r"^a\z", "a\n", False),
        (r"\Aa\Z", "a\n", True),
        ("^$", "", True),
        ("^$", "\n", True),
        ("", "", True),  # an empty expression is ^$
        ("", "a", False),
        ("b", "abc", True),  # searched for anywhere
        ("(?!)", "", False),
        ("a.c", "a\nc", False),  # a dot is no line feed
        ("^[^.]$", "\u00e9", False),  # two octets
        ("^\u00e9$", "\u00e9", True),
        (r"^(?!a\.b)(?:a|b)\..*$", "a.c", True),
        (r"^(?!a\.b)(?:a|b)\..*$", "a.bc", False),
        (r"^\x41{2,3}$", "AAA", True),
        ("^a*+a", "aaa", False),  # what a possessive quantifier took stays taken
        (r"^\{username\}$", "{username}", True),
    ],
)
def test_expressions_that_mean_the_same_to_both(pattern: str, text: str, answer: bool) -> None:
    assert found(pattern, text, {}) is answer


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d",
        r"\w+",
        r"\Qa.b\E",
        r"\Ka",
        "(?i)a",
        "(?<n>a)",
        "(?P<n>a)",
        "(?|a|b)",
        "(?R)",
        "(*ACCEPT)",
        "[[:alpha:]]",
        r"[\w]",
        "[]a]",
        "[a--b]",
        "a{,3}",
        "{username}",
        "a}",
        "(a",
        "a)",
        "*a",
        "a\\",
        "(" * 3000 + ")" * 3000,
    ],
)
def test_what_may_mean_something_else_is_refused(pattern: str) -> None:
    with pytest.raises(UnknownRegex, match=r"regular expression|more plainly"):
        found(pattern, "a", {})


def test_variables_are_put_in_by_name_and_as_they_are() -> None:
    variables = {"username": "pump", "client_id": ".*", "vhost": "/"}
    assert found("^{username}$", "pump", variables)
    assert found("^{client_id}$", "anything", variables)
    assert found("^{client_id}$", "pump", {"username": "pump", "client_id": "{username}"})
