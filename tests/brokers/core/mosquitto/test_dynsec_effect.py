"""Who gains and who loses what, worked out by hand."""

from __future__ import annotations

from brokers.core.mosquitto.dynsec import desired_state
from brokers.core.mosquitto.dynsec_effect import effect
from brokers.core.ports import RenderSubject, Standing
from tests.brokers.subjects import ALL, PUBLISH, SUBSCRIBE, UP, rule, subject


def changed(before: list[RenderSubject], after: list[RenderSubject]) -> tuple[set[str], set[str]]:
    """What is gained, what is lost, as `<action> <filter>`."""
    found = effect(desired_state(before), desired_state(after))
    return (
        {f"{line.action} {line.filter}" for line in found.gain},
        {f"{line.action} {line.filter}" for line in found.lose},
    )


def test_nothing_changes_for_the_same() -> None:
    assert changed([subject("p", UP, ALL)], [subject("p", UP, ALL)]) == (set(), set())


def test_new_allow_is_gained_unless_it_was_covered() -> None:
    wide = rule("allow", PUBLISH, "north/#")
    assert changed([subject("p", UP)], [subject("p", UP, wide)]) == ({"publish north/#"}, set())
    assert changed([subject("p", wide)], [subject("p", UP, wide)]) == (set(), set())


def test_new_deny_takes_away_what_it_meets() -> None:
    secret = rule("deny", SUBSCRIBE, "north/all/secret/#")
    assert changed([subject("p", ALL)], [subject("p", ALL, secret)]) == (set(), {"subscribe north/all/secret/#"})
    assert changed([subject("p", ALL, secret)], [subject("p", ALL)]) == ({"subscribe north/all/secret/#"}, set())


def test_deny_of_what_nobody_had_changes_nothing() -> None:
    assert changed([subject("p", ALL)], [subject("p", ALL, rule("deny", SUBSCRIBE, "other/#"))]) == (set(), set())


def test_barred_device_loses_everything() -> None:
    assert changed([subject("p", UP, ALL)], [subject("p", standing=Standing.BARRED)]) == (
        set(),
        {"publish north/p/up/#", "subscribe north/all/#"},
    )
    assert changed([subject("p", standing=Standing.BARRED)], [subject("p", UP)]) == ({"publish north/p/up/#"}, set())


def test_lines_are_bounded_and_said_to_be() -> None:
    found = effect(desired_state([]), desired_state([subject(f"p-{n}", UP) for n in range(300)]))
    assert (len(found.gain), found.bounded) == (200, True)
