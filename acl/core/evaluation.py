"""Verdicts: default deny, deny wins, the order of rules never matters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from acl.core.index import FilterIndex
from acl.core.templates import filled, parse, substitute
from acl.core.topics import InvalidTopic, valid_filter, valid_name
from acl.core.union import cover_together
from acl.core.values import (
    EVERY_QOS,
    Action,
    Allow,
    BoundRule,
    Deny,
    DenyReason,
    Effect,
    Principal,
    Publish,
    Receive,
    Request,
    Retain,
    Rule,
    Shared,
    Subscribe,
    Verdict,
)

_KEPT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRule:
    """A rule as it is for one principal. `filter` is None where it is void.

    `void_reason` says which value is missing or unsafe; with a filter beside it, the deny rule was widened for that.
    """

    bound: BoundRule
    filter: str | None
    void_reason: str = ""


def effective(policy: Iterable[BoundRule], principal: Principal) -> tuple[EffectiveRule, ...]:
    """Every rule of `policy` as it is for `principal`, in the order given."""
    rules = []
    for bound in policy:
        template = parse(bound.rule.topic)
        if filter := filled(template, principal):  # so are most
            rules.append(EffectiveRule(bound=bound, filter=filter))
        else:
            outcome = substitute(template, principal, bound.rule.effect)
            rules.append(EffectiveRule(bound=bound, filter=outcome.filter, void_reason=outcome.why))
    return tuple(rules)


def evaluate(policy: Sequence[BoundRule], principal: Principal, request: Request) -> Verdict:
    """What `policy` says to the request of `principal`.

    Many requests of one principal cost least with the same tuple and the same principal: what was made of them is kept.
    """
    return PrincipalPolicy.of(policy, principal).evaluate(request)


_kept: dict[tuple[int, int], PrincipalPolicy] = {}


class PrincipalPolicy:
    """The policy of one principal, substituted and indexed: a million requests may follow."""

    __slots__ = ("_publishing", "_subscribing", "policy", "principal", "rules")

    def __init__(self, policy: Sequence[BoundRule], principal: Principal) -> None:
        self.policy = policy
        self.principal = principal
        self.rules = effective(policy, principal)
        self._publishing = FilterIndex(), FilterIndex()  # of allow rules, and of deny rules
        self._subscribing = FilterIndex(), FilterIndex()
        for number, effective_rule in enumerate(self.rules):
            if effective_rule.filter is not None:
                rule = effective_rule.bound.rule
                for action in rule.actions:
                    indexes = self._publishing if action is Action.PUBLISH else self._subscribing
                    indexes[rule.effect is Effect.DENY].add(effective_rule.filter, number)

    @classmethod
    def of(cls, policy: Sequence[BoundRule], principal: Principal) -> PrincipalPolicy:
        """The one that was made before of this very tuple and this very principal, or a new one."""
        key = (id(policy), id(principal))  # those that are kept are alive, so their ids belong to nobody else
        kept = _kept.get(key)
        if kept is None or kept.policy is not policy or kept.principal is not principal:
            kept = cls(policy, principal)
            if isinstance(policy, tuple):
                if len(_kept) >= _KEPT:
                    _kept.clear()
                _kept[key] = kept
        return kept

    def evaluate(self, request: Request) -> Verdict:
        """The verdict on `request`."""
        try:
            if isinstance(request, Publish):
                return self._publish(request)
            if isinstance(request, Subscribe):
                return self._subscribe(request)
            return self._receive(request)
        except InvalidTopic:
            return Deny(reason=DenyReason.MALFORMED)

    def touching(self, request: Request) -> tuple[list[int], list[int]]:
        """The numbers of the allow rules that cover the request's topic, and of the deny rules that meet it.

        Conditions (QoS, retain, shared) are not looked at. Raises InvalidTopic.
        """
        allows, denies = self._publishing if isinstance(request, Publish) else self._subscribing
        if isinstance(request, Subscribe):
            wanted = valid_filter(request.topic)
            return allows.covering(wanted), denies.intersecting(wanted)
        name = valid_name(request.topic)
        return allows.covering(name), denies.covering(name)

    def partly_covering(self, request: Subscribe) -> list[int]:
        """The numbers of the allow rules that meet the filter, whose conditions hold, and that cover it only together.

        Empty if they do not cover it together either.
        """
        allows, _ = self._subscribing
        met = allows.intersecting(request.topic)
        met = [number for number in met if not why_not(self.rules[number].bound.rule, request)]
        filters = [self.rules[number].filter or "" for number in met]
        return met if len(met) > 1 and cover_together(filters, request.topic) else []

    def _publish(self, request: Publish) -> Verdict:
        allows, denies = self._publishing
        name = valid_name(request.topic)
        for number in denies.covering(name):
            bound = self.rules[number].bound
            if _publish_conditions(bound.rule, request):
                return Deny(reason=DenyReason.DENY_RULE, rule=bound)
        for number in allows.covering(name):
            bound = self.rules[number].bound
            if _publish_conditions(bound.rule, request):
                return Allow(rule=bound)
        return Deny(reason=DenyReason.NO_RULE)

    def _subscribe(self, request: Subscribe) -> Verdict:
        allows, denies = self.touching(request)
        for number in denies:
            bound = self.rules[number].bound
            if _subscribe_conditions(bound.rule, request.qos, request.group):
                return Deny(reason=DenyReason.DENY_RULE, rule=bound)
        for number in allows:
            bound = self.rules[number].bound
            if _subscribe_conditions(bound.rule, request.qos, request.group):
                return Allow(rule=bound)
        return Deny(reason=DenyReason.ONLY_TOGETHER if self.partly_covering(request) else DenyReason.NO_RULE)

    def _receive(self, request: Receive) -> Verdict:
        """Allowed iff some subscription to just this name is: the conditions of rules are about subscriptions."""
        allows, denies = self.touching(request)
        if not allows:
            return Deny(reason=DenyReason.NO_RULE)
        forbidding = [self.rules[number].bound for number in denies]
        groups = {self.rules[number].bound.rule.shared_group for number in (*allows, *denies)}
        ways = [(qos, group) for qos in EVERY_QOS for group in (None, "", *groups)]  # "" is a group nobody names
        for number in allows:
            bound = self.rules[number].bound
            for qos, group in ways:
                if _subscribe_conditions(bound.rule, qos, group) and not any(
                    _subscribe_conditions(deny.rule, qos, group) for deny in forbidding
                ):
                    return Allow(rule=bound)
        return Deny(reason=DenyReason.DENY_RULE, rule=forbidding[0])


def why_not(rule: Rule, request: Request) -> str:
    """Which condition of `rule` does not hold for `request`, as words; empty if all hold."""
    if isinstance(request, Receive):
        return ""
    if request.qos not in rule.qos:
        return f"is about QoS {', '.join(map(str, sorted(rule.qos)))} only"
    if isinstance(request, Publish):
        kind = "retained" if rule.retain is Retain.ONLY else "unretained"
        return "" if _publish_conditions(rule, request) else f"is about {kind} messages only"
    return "" if _subscribe_conditions(rule, request.qos, request.group) else _why_not_shared(rule, request)


def _why_not_shared(rule: Rule, request: Subscribe) -> str:
    if rule.shared is Shared.NEVER:
        return "is about plain subscriptions only"
    if rule.shared_group and request.group is not None:
        return f"is about the shared group {rule.shared_group} only"
    return "is about shared subscriptions only"


def _publish_conditions(rule: Rule, request: Publish) -> bool:
    return request.qos in rule.qos and (rule.retain is Retain.ANY or (rule.retain is Retain.ONLY) == request.retain)


def _subscribe_conditions(rule: Rule, qos: int, group: str | None) -> bool:
    if qos not in rule.qos:
        return False
    if rule.shared is Shared.ANY:
        return True
    if rule.shared is Shared.NEVER:
        return group is None
    return group is not None and rule.shared_group in (None, group)
