"""What the renderings of all brokers share: collecting deviations, and the one spelling of a filter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from acl.core.evaluation import EffectiveRule
from acl.core.values import Action, BoundRule, Effect, Retain, Rule, RuleId, Shared
from brokers.core.ports import Deviation, DeviationKind

SAMPLE = 10
OF_TWO_LEVELS = "+/+/#"  # the one filter that covers `/#` without looking so

_WORST_FIRST = (DeviationKind.WIDER, DeviationKind.NARROWER, DeviationKind.SIGNALLING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a make of broker never does, whatever the policy says: no rule is to blame, so it is told once."""

    kind: DeviationKind
    why: str


@dataclass(slots=True)
class _Noted:
    bound: BoundRule
    principals: list[str] = field(default_factory=list)
    count: int = 0
    latest: str = ""


class Deviations:
    """Collects what a broker can not express: one deviation for each rule, kind and reason, principals counted."""

    def __init__(self) -> None:
        self._noted: dict[tuple[RuleId, DeviationKind, str], _Noted] = {}

    def note(self, bound: BoundRule, auth_id: str, kind: DeviationKind, why: str) -> None:
        """Adds a principal to the deviation of that rule, kind and reason. `why` names no principal."""
        key = bound.rule.id, kind, why
        noted = self._noted.get(key) or self._noted.setdefault(key, _Noted(bound))
        if noted.count and noted.latest == auth_id:
            return  # once for publish and once for subscribe, or by two bindings
        noted.count += 1
        noted.latest = auth_id
        if len(noted.principals) < SAMPLE:
            noted.principals.append(auth_id)

    def all(self) -> tuple[Deviation, ...]:
        """Every deviation, the worst kind first, then by role, topic and reason."""
        found = [
            Deviation(
                rule=noted.bound,
                principals=tuple(sorted(noted.principals)),
                kind=kind,
                why=why,
                principal_count=noted.count,
            )
            for (_, kind, why), noted in self._noted.items()
        ]
        return tuple(sorted(found, key=_place))


def _place(deviation: Deviation) -> tuple[int, str, str, str, str]:
    rule = deviation.rule.rule
    return _WORST_FIRST.index(deviation.kind), deviation.rule.role_name, rule.topic, deviation.why, str(rule.id)


def canonical(filter: str) -> str:
    """The shortest filter for the same names: `#` for `+/#` and `/#` for `/+/#`, since no name is empty."""
    return {"+/#": "#", "/+/#": "/#"}.get(filter, filter)


def begins_with_wildcard(filter: str) -> bool:
    """Whether the first level is `+` or `#`."""
    return filter[0] in "+#"


def publish_conditions(rule: Rule) -> str:
    """The conditions on a publish that no broker here can express, as words; empty if there are none."""
    parts = [f"QoS {', '.join(map(str, sorted(rule.qos)))} only"] if len(rule.qos) < 3 else []
    if rule.retain is not Retain.ANY:
        parts.append("retained messages only" if rule.retain is Retain.ONLY else "unretained messages only")
    return " and ".join(parts)


def plain_conditions(rule: Rule, action: Action) -> str:
    """The conditions for that action, but for who subscribes shared, as words; empty if there are none."""
    return publish_conditions(rule) if action is Action.PUBLISH else qos_condition(rule)


def subscribe_conditions(rule: Rule) -> str:
    """The conditions on a subscription, who subscribes shared among them, as words; empty if there are none."""
    conditions = qos_condition(rule)
    if rule.shared is Shared.ANY:
        return conditions
    kind = "shared" if rule.shared is Shared.ONLY else "plain"
    return f"{kind} subscriptions" + (f" and {conditions}" if conditions else "")


def qos_condition(rule: Rule) -> str:
    """The QoS condition of a subscription as words; empty if there is none."""
    return f"QoS {', '.join(map(str, sorted(rule.qos)))} only" if len(rule.qos) < 3 else ""


def concerning(rules: Iterable[EffectiveRule], action: Action, effect: Effect) -> list[tuple[BoundRule, str]]:
    """Each rule of that action and effect that is not void, once, with its canonical filter."""
    found = {
        rule.bound.rule.id: (rule.bound, canonical(rule.filter))
        for rule in rules
        if rule.filter is not None and rule.bound.rule.effect is effect and action in rule.bound.rule.actions
    }
    return list(found.values())


def needs_sharing(rule: Rule) -> bool:
    """Whether the rule is about shared subscriptions alone."""
    return rule.shared is Shared.ONLY
