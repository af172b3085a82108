"""The expressions against the algebra of topics, exhaustively; and against topics that are made to take long."""

from __future__ import annotations

import time
from itertools import product

import pytest

from acl.core.topics import InvalidTopic, covers, intersects, matches, valid_filter
from brokers.core.rabbitmq.patterns import NEVER, as_read, escaped, literally, publish_pattern, subscribe_pattern
from brokers.core.rabbitmq.regex import found
from brokers.core.rendering import canonical

_TO_AMQP = str.maketrans("/+", ".*")


def _filters() -> list[str]:
    """Every filter of up to three levels, and `#` below each."""
    texts = {"#"}
    for size in (1, 2, 3):
        for levels in product(("", "a", "$s", "+"), repeat=size):
            for text in ("/".join(levels), "/".join((*levels, "#"))):
                try:
                    texts.add(valid_filter(text))
                except InvalidTopic:
                    continue
    return sorted(texts)


FILTERS = _filters()
NAMES = [text for text in FILTERS if not {"+", "#"} & set(text)]


def holds(pattern: str, topic: str) -> bool:
    return found(pattern, topic.translate(_TO_AMQP), {})


def test_every_filter_lets_just_its_names_be_published_and_none_below_a_dollar() -> None:
    for filter in FILTERS:
        pattern = publish_pattern([canonical(filter)], [])
        assert [name for name in NAMES if holds(pattern, name)] == [
            name for name in NAMES if matches(filter, name) and not name.startswith("$")
        ]


def test_every_denied_filter_takes_just_its_names_away() -> None:
    for filter in FILTERS:
        pattern = publish_pattern(["#"], [canonical(filter)])
        assert [name for name in NAMES if holds(pattern, name)] == [
            name for name in NAMES if not matches(filter, name) and not name.startswith("$")
        ]


def test_every_filter_grants_just_the_filters_that_it_covers() -> None:
    for filter in FILTERS:
        pattern = subscribe_pattern([canonical(filter)], [])
        assert [wanted for wanted in FILTERS if holds(pattern, wanted)] == [
            wanted for wanted in FILTERS if covers(filter, wanted)
        ]


def test_every_denied_filter_refuses_just_the_filters_that_it_meets() -> None:
    for filter in FILTERS:
        pattern = subscribe_pattern(["#", "$s/#"], [canonical(filter)])
        assert [wanted for wanted in FILTERS if holds(pattern, wanted)] == [
            wanted
            for wanted in FILTERS
            if (covers("#", wanted) or covers("$s/#", wanted)) and not intersects(filter, wanted)
        ]


@pytest.mark.parametrize("topic", ["", "a/#", "#", "a/+", "a/*", "*", "a#", "$s", "$", "a/b*"])
def test_what_is_no_topic_of_ours_is_never_published(topic: str) -> None:
    assert not holds(publish_pattern(["#", "+", "a/+", "a/#"], []), topic)


@pytest.mark.parametrize("filter", ["", "#/a", "a/#/b", "#/#", "a/#/", "##"])
def test_a_filter_with_a_hash_that_is_not_at_the_end_is_refused(filter: str) -> None:
    assert not holds(subscribe_pattern(["#", "+/#", "a/#", "a/+/b"], []), filter)


@pytest.mark.parametrize("text", ["", "\n", "a", "(?!)"])
def test_never_matches_nothing_at_all(text: str) -> None:
    assert not found(NEVER, text, {})


@pytest.mark.parametrize("topic", ["a\n", "a/b\n", "a\n/b"])
def test_a_line_feed_is_a_character_like_another(topic: str) -> None:
    assert not holds(publish_pattern(["a", "a/b"], []), topic)
    assert not holds(publish_pattern(["#"], ["a\n", "+/+"]), topic)
    assert holds(publish_pattern(["#"], ["a/secret/#"]), topic)
    assert not holds(publish_pattern(["#"], ["a/secret/#"]), f"a/secret/{topic}")


def test_what_has_a_meaning_in_expressions_is_escaped() -> None:
    assert escaped("a.b*c+d?(e)[f]{g}^$|\\/ -_~#") == r"a\.b\*c\+d\?\(e\)\[f\]\{g\}\^\$\|\\\/\ -_\~\#"
    assert escaped("\x01\n\x7f\u00e9\U0001f680") == "\\x01\\x0a\\x7f\u00e9\U0001f680"


def test_a_literal_brace_is_no_variable() -> None:
    pattern = publish_pattern(["{username}/{client_id}"], [])
    assert found(pattern, "{username}.{client_id}", {"username": "pump", "client_id": "p"})
    assert not found(pattern, "pump.p", {"username": "pump", "client_id": "p"})


def test_names_are_matched_whole() -> None:
    assert literally("amq.topic") == r"^amq\.topic\z"
    assert found(literally("a", "b|c"), "b|c", {})
    assert not found(literally("a", "b|c"), "b", {})


@pytest.mark.parametrize(
    ("filter", "read"),
    [("a/b", "a/b"), ("x.y/z", "x/y/z"), ("a/*/b", "a/+/b"), ("a/b*", "a/b*"), ("*/#", "#"), (".", "/")],
)
def test_filters_as_rabbitmq_reads_them(filter: str, read: str) -> None:
    assert as_read(filter) == read


HOSTILE = ["+/" * 40 + "#", "/".join("a" * 50), "+/" * 49 + "b", "a/+/" * 20 + "a", "+/+/a/#", "#", "+", "/#"]
LONG = ["a" * 60_000, "a/" * 30_000, "/" * 60_000, "a/" * 49 + "c", "*" * 60_000, "a#" * 30_000, "*/" * 30_000 + "#"]


def test_no_topic_takes_long() -> None:
    """Each level is looked at once, so all of this takes milliseconds; with backtracking it would not end."""
    started = time.process_time()
    for denied in ([], HOSTILE[:-3], [f"{filter}/{number}" for number in range(20) for filter in ("a/+/b", "+/a/+")]):
        for pattern in (publish_pattern(HOSTILE, denied), subscribe_pattern(HOSTILE, denied)):
            for topic in LONG:
                holds(pattern, topic)
    assert time.process_time() - started < 20
