"""Rules of other domains that a rule meets."""

from __future__ import annotations

import pytest

from acl.core import outside
from acl.core.outside import OutsideRules
from acl.core.values import Action
from tests.acl.core.test_analysis_who_can import role

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def test_a_rule_meets_those_of_other_domains_that_hear_or_publish_what_it_does() -> None:
    rules = OutsideRules()
    rules.add(role("all/${client_id}/#", actions=SUBSCRIBE).rules[0], domain="south")
    [sends] = role("all/7/x", actions=PUBLISH).rules
    assert rules.meets(sends, domain="north") is True
    assert rules.meets(sends, domain="south") is False
    assert rules.meets(role("all/7/x", actions=SUBSCRIBE).rules[0], domain="north") is False
    assert rules.meets(role("other/7/x", actions=PUBLISH).rules[0], domain="north") is False


def test_noise_hides_no_rule() -> None:
    rules = OutsideRules()
    for number in range(2_000):
        rules.add(role(f"noise/{number}", actions=PUBLISH).rules[0], domain="south")
    rules.add(role("plant/secret/x", actions=PUBLISH).rules[0], domain="south")
    assert rules.meets(role("plant/secret/#", actions=SUBSCRIBE).rules[0], domain="north") is True


def test_what_was_not_compared_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "MOST_STEPS", 100)
    rules = OutsideRules()
    for number in range(200):
        rules.add(role(f"x{number}${{client_id}}/a", actions=PUBLISH).rules[0], domain="south")
    [hears] = role("y/a", actions=SUBSCRIBE).rules
    assert rules.meets(hears, domain="north") is None
    assert rules.meets(hears, domain="north") is None
