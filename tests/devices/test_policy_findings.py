"""Findings about policy, from roles and bindings in the database."""

from __future__ import annotations

from typing import Any

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from devices import services
from devices.queries.policy_findings import PolicyFindings
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId
from tests.cast import ADA
from tests.devices.factory import Factory


def rule(topic: str, effect: str = "allow", action: str = "publish") -> RuleSpec:
    return RuleSpec(effect=Effect(effect), actions=frozenset({Action(action)}), topic=topic)


def bind(factory: Factory, *rules: RuleSpec, name: str = "pumps", **target: Any) -> None:
    role = factory.role(name, *rules)
    services.bind_role(domain=factory.domain, role=role.id, target=BindingTarget(**target), actor=ADA, now=factory.now)


def found(*domains: DomainId) -> list[tuple[str, str]]:
    flaws = PolicyFindings().find(domains=domains or None, now=utc_now())
    return sorted((finding.subject.label, finding.code) for finding in flaws)


def test_a_good_policy_has_no_finding(north: Factory) -> None:
    bind(north, rule("${domain}/${client_id}/up/#"), rule("site/${attr.site}", action="subscribe"), domain="north")
    assert found() == []


def test_a_role_without_bindings_is_found_unless_it_is_for_quarantine(north: Factory) -> None:
    role = north.role("spare")
    assert found() == [("spare", "role-unbound")]
    services.set_quarantine_role(domain=north.domain, role=role.id, actor=ADA, now=north.now)
    assert found() == []


def test_a_deny_for_the_whole_domain_shadows_rules_of_others(north: Factory) -> None:
    bind(north, rule("${domain}/${client_id}/x"), device_type="pump")
    bind(north, rule("${domain}/#", "deny"), name="shut", domain="north")
    assert found() == [("pumps", "rule-shadowed")]


def test_an_attribute_that_the_bound_type_does_not_declare_is_found(north: Factory) -> None:
    services.create_device_type(domain=north.domain, name="valve", schema={}, actor=ADA, now=north.now)
    bind(north, rule("${domain}/${attr.site}/t"), device_type="valve")
    bind(north, rule("${domain}/${attr.site}/t"), name="all", device_type="pump")
    assert found() == [("pumps", "rule-placeholder-never-resolves")]


def test_rules_that_meet_across_domains_are_found_in_both(north: Factory, south: Factory) -> None:
    bind(north, rule("all/${client_id}"), device_type="pump")
    bind(south, rule("all/#", action="subscribe"), name="ears", device_type="pump")
    assert found() == [("ears", "rule-reaches-other-domain"), ("pumps", "rule-reaches-other-domain")]
    [finding] = PolicyFindings().find(domains=[north.domain], now=north.now)
    assert (finding.domain, finding.subject.kind) == (north.domain, "acl.role")
    assert "south" not in finding.detail  # what other domains there are is not for everybody


def test_many_rules_of_another_domain_hide_none(north: Factory, south: Factory) -> None:
    bind(north, rule("plant/secret/#", action="subscribe"), name="ears", device_type="pump")
    for number in range(6):
        noise = (rule(f"noise/{number}/{each}/${{client_id}}") for each in range(100))
        bind(south, *noise, name=f"a{number}", device_type="pump")
    bind(south, rule("plant/secret/${client_id}"), name="z", device_type="pump")
    assert found() == [("ears", "rule-reaches-other-domain"), ("z", "rule-reaches-other-domain")]


def test_a_device_named_like_another_domain_is_thought_of(north: Factory, south: Factory) -> None:
    bind(south, rule("${client_id}/#"), name="own", device_type="pump")
    [finding] = PolicyFindings().find(domains=None, now=south.now)
    assert (finding.code, finding.subject.label) == ("rule-may-reach-other-domain", "own")
    assert finding.remedy.startswith("Put ${domain}/ before the filter")
    assert "north" not in finding.detail
