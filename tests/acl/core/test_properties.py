"""What holds for every policy, every principal and every request, templates and values that break topics included."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from acl.core.evaluation import effective, evaluate
from acl.core.values import Allow, BoundRule, CertificateFields, Deny, DenyReason, Effect, Principal, Request
from tests.acl.core import reference
from tests.acl.core.strategies import filters, requests, rules

SAFE = ("a", "b", "other")
UNSAFE = ("", "+", "#", "a/b", "$s", "a\x00", "a\n")

_LEVELS = ("", "a", "b", "+", "$s", "${client_id}", "${attr.site}", "${cert.cn}", "x${attr.site}", "${client_id}a")
templates = st.one_of(
    filters,
    st.builds(
        lambda levels, end: "/".join([*levels, end]),
        st.lists(st.sampled_from(_LEVELS), min_size=1, max_size=2),
        st.sampled_from((*_LEVELS, "#")),
    ),
)
template_rules = rules(templates)
policies = st.lists(template_rules, max_size=6).map(tuple)


def principal(client_id: str, site: str, cn: str) -> Principal:
    return Principal(
        id="1",
        auth_id="pump",
        client_id=client_id,
        username="pump",
        domain="north",
        attributes={"site": site},
        certificate=CertificateFields(cn=cn),
    )


safe = st.builds(principal, *[st.sampled_from(SAFE)] * 3)
principals = st.builds(principal, *[st.sampled_from((*SAFE, *SAFE, *UNSAFE))] * 3)


def allowed(policy: tuple[BoundRule, ...], who: Principal, request: Request) -> bool:
    return isinstance(evaluate(policy, who, request), Allow)


@settings(max_examples=250, deadline=None)
@given(policy=policies, who=safe, wanted=requests)
def test_a_template_says_what_it_says_with_its_values_in_place(
    policy: tuple[BoundRule, ...], who: Principal, wanted: Request
) -> None:
    values = {
        "${client_id}": who.client_id,
        "${attr.site}": str(who.attributes["site"]),
        "${cert.cn}": who.certificate.cn if who.certificate else "",
    }
    spelled = []
    for bound in policy:
        topic = bound.rule.topic
        for placeholder, value in values.items():
            topic = topic.replace(placeholder, value)
        spelled.append(replace(bound, rule=replace(bound.rule, topic=topic)))
    assert allowed(policy, who, wanted) is reference.allowed(spelled, wanted)


@settings(max_examples=250, deadline=None)
@given(policy=policies, who=principals, wanted=requests, extra=template_rules)
def test_one_more_deny_or_one_less_allow_never_allows_more(
    policy: tuple[BoundRule, ...], who: Principal, wanted: Request, extra: BoundRule
) -> None:
    denying = replace(extra, rule=replace(extra.rule, effect=Effect.DENY))
    allowing = replace(extra, rule=replace(extra.rule, effect=Effect.ALLOW))
    before = allowed(policy, who, wanted)
    assert before or not allowed((*policy, denying), who, wanted)
    assert allowed((*policy, allowing), who, wanted) or not before


@settings(max_examples=150, deadline=None)
@given(policy=policies, who=principals, wanted=requests, roll=st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_rules_matters(
    policy: tuple[BoundRule, ...], who: Principal, wanted: Request, roll: object
) -> None:
    shuffled = roll.sample(policy, len(policy))  # type: ignore[attr-defined]
    said = evaluate(policy, who, wanted)
    for other in (tuple(shuffled), (*policy, *shuffled)):
        again = evaluate(other, who, wanted)
        assert type(again) is type(said)
        assert getattr(again, "reason", None) == getattr(said, "reason", None)


@settings(max_examples=250, deadline=None)
@given(
    policy=policies,
    who=safe,
    wanted=requests,
    member=st.sampled_from(("client_id", "site", "cn")),
    value=st.sampled_from(UNSAFE),
)
def test_who_has_an_unsafe_value_may_do_nothing_that_a_safe_one_would_forbid(
    policy: tuple[BoundRule, ...], who: Principal, wanted: Request, member: str, value: str
) -> None:
    """`$s` is unsafe at the start of a topic only: elsewhere it is a value as any other."""
    broken = {
        "client_id": replace(who, client_id=value),
        "site": replace(who, attributes={"site": value}),
        "cn": replace(who, certificate=CertificateFields(cn=value)),
    }[member]
    taken = [rule for rule in effective(policy, broken) if value != "" and rule.filter and value in rule.filter]
    if not taken and allowed(policy, broken, wanted):
        assert allowed(policy, who, wanted)


@given(policy=policies, who=principals, wanted=requests)
def test_a_verdict_names_a_rule_of_the_policy_and_says_why(
    policy: tuple[BoundRule, ...], who: Principal, wanted: Request
) -> None:
    verdict = evaluate(policy, who, wanted)
    if isinstance(verdict, Deny):
        assert (verdict.rule is None) is (verdict.reason is not DenyReason.DENY_RULE)
    if verdict.rule is not None:
        assert any(verdict.rule is bound for bound in policy)
        assert verdict.rule.rule.effect is (Effect.ALLOW if isinstance(verdict, Allow) else Effect.DENY)
