from __future__ import annotations

from dataclasses import replace
from time import process_time

from acl.core.analysis_findings import CODES, RoleInUse, find_flaws
from acl.core.outside import OutsideRules
from acl.core.values import Action, Role, Rule
from tests.acl.core.test_analysis_who_can import VALVE, role
from tests.cast import NORTH

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def codes(*topics: str, others: tuple[str, ...] = (), outside: tuple[Rule, ...] = (), **facts: object) -> list[str]:
    actions: frozenset[Action] = facts.pop("actions", frozenset(Action))  # type: ignore[assignment]
    use = RoleInUse(role=role(*topics, actions=actions), domain="north", bound=True, attributes=frozenset({"site"}))
    use = replace(use, **facts)  # type: ignore[arg-type]
    rules = OutsideRules()
    for rule in outside:
        rules.add(rule, domain="south")
    return [flaw.code for flaw in find_flaws(use, other_domains=others, outside=rules)]


def test_a_role_that_keeps_to_itself_has_no_flaw() -> None:
    rules = ("${domain}/${client_id}/up/#", "${domain}/${attr.site}/all", "!${domain}/${client_id}/up/secret")
    assert codes(*rules, others=("south",), to_many=True) == []


def test_everything_and_sys_are_told() -> None:
    assert codes("#") == ["rule-allows-everything"]
    assert codes("+/#") == ["rule-allows-everything"]
    assert codes("$SYS/#") == ["rule-allows-sys"]
    assert codes("!#", "!$SYS/#") == []


def test_an_allow_that_denies_cover_is_told_also_where_they_do_so_together() -> None:
    assert codes("a/b", "!a/#") == ["rule-shadowed"]
    assert codes("a/#", "!a", "!a/+/#") == ["rule-shadowed"]
    assert codes("a/#", "!a/+/#") == []
    everywhere = role("!${domain}/#", id=VALVE).rules
    assert codes("${domain}/x", denied=everywhere) == ["rule-shadowed"]


def test_a_deny_with_a_narrower_condition_shadows_nothing() -> None:
    allow, deny = role("a", "!a").rules
    some_qos = Role(id=VALVE, domain=NORTH, name="r", rules=(allow, replace(deny, qos=frozenset({0}))))
    use = RoleInUse(role=some_qos, domain="north", bound=True)
    assert list(find_flaws(use, other_domains=())) == []


def test_a_placeholder_that_no_device_has_is_told() -> None:
    assert codes("${domain}/${attr.hall}/t") == ["rule-placeholder-never-resolves"]
    assert codes("${domain}/${cert.ou}/t") == []


def test_a_rule_for_another_domains_topics_is_told() -> None:
    assert codes("south/a", others=("south",)) == ["rule-reaches-other-domain"]
    assert codes("+/a", others=("south",)) == ["rule-reaches-other-domain"]
    assert codes("+/a") == []
    hears = role("all/#", actions=SUBSCRIBE).rules
    assert codes("all/x", others=("south",), outside=hears, actions=PUBLISH) == ["rule-reaches-other-domain"]
    assert codes("all/x", others=("south",), outside=hears, actions=SUBSCRIBE) == []


def test_a_filter_that_begins_with_what_a_device_is_called_is_told() -> None:
    may = ["rule-may-reach-other-domain"]
    assert codes("${client_id}/#", others=("south",)) == may
    assert codes("x${attr.site}/t", others=("south",)) == may
    assert codes("${domain}${attr.site}/t", others=("south",)) == may
    assert codes("${client_id}/#") == []
    hears = role("all/#", actions=SUBSCRIBE).rules
    told = codes("${client_id}/x", others=("south",), outside=hears, actions=PUBLISH)
    assert told == ["rule-reaches-other-domain"]


def test_a_deny_over_several_domains_is_told() -> None:
    assert codes("!+/secret/#", others=("south",)) == ["rule-deny-hits-other-domains"]
    assert codes("!north/secret/#", others=("south",)) == []


def test_publishing_in_the_name_of_all_is_told_of_a_role_for_many() -> None:
    assert codes("${domain}/all/#", to_many=True, actions=PUBLISH) == ["rule-same-for-many"]
    assert codes("${domain}/all/#", to_many=True, actions=SUBSCRIBE) == []
    assert codes("${domain}/all/#", actions=PUBLISH) == []


def test_a_role_that_nobody_has_is_told_and_nothing_else_of_it() -> None:
    assert codes("#", bound=False) == ["role-unbound"]


def test_every_flaw_says_what_to_do() -> None:
    use = RoleInUse(role=role("#"), domain="north", bound=True)
    [flaw] = find_flaws(use, other_domains=())
    assert flaw.severity is CODES[flaw.code]
    assert flaw.remedy.endswith(".")
    assert flaw.detail == "Allow #: this reaches every topic there is."


def test_many_allows_under_many_denies_are_judged_soon() -> None:
    rules = [*(f"+/a{n}/+" for n in range(250)), *(f"!+/+/b{n}" for n in range(249))]
    started = process_time()
    assert "rule-shadowed" not in codes(*rules, actions=SUBSCRIBE)
    assert "rule-shadowed" in codes(*rules, "!+/+/+", actions=SUBSCRIBE)
    assert process_time() - started < 5
