"""Rules as people write them, and what is wrong with them: one sentence for each fault, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from acl.core.own_rules import holder_of
from acl.core.templates import parse
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Rule, RuleId, Shared
from kernel.core.errors import FieldError, Invalid

MOST_RULES = 500
MOST_LEVELS = 200  # no known broker takes more
_ROLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOLDER = re.compile(r"[^/+#\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}")
_GROUP = re.compile(r"[^/+#\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")


class InvalidRole(Invalid):
    """The role can not be accepted as it is; `errors` has every fault."""

    code = "invalid-role"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """A rule that has no id yet."""

    effect: Effect
    actions: frozenset[Action]
    topic: str
    qos: frozenset[int] = EVERY_QOS
    retain: Retain = Retain.ANY
    shared: Shared = Shared.ANY
    shared_group: str | None = None

    @classmethod
    def of(cls, rule: Rule) -> RuleSpec:
        """What `rule` says, without its id."""
        return cls(
            effect=rule.effect,
            actions=rule.actions,
            topic=rule.topic,
            qos=rule.qos,
            retain=rule.retain,
            shared=rule.shared,
            shared_group=rule.shared_group,
        )

    def with_id(self, id: RuleId) -> Rule:
        """The rule of that id."""
        return Rule(
            id=id,
            effect=self.effect,
            actions=self.actions,
            topic=self.topic,
            qos=self.qos,
            retain=self.retain,
            shared=self.shared,
            shared_group=self.shared_group,
        )


def check_role(*, name: str, rules: Sequence[RuleSpec]) -> None:
    """Nothing, if a role may have that name and those rules. Raises InvalidRole with a FieldError for each fault."""
    errors = []
    holder = holder_of(name)
    if holder is not None and not _HOLDER.fullmatch(holder):
        detail = "Behind @ stands the name of whom the rules are for: 1 to 64 characters without /, + and #."
        errors.append(FieldError(pointer="/name", code="invalid-name", detail=detail))
    if holder is None and not _ROLE_NAME.fullmatch(name):
        detail = "Use 1 to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit."
        errors.append(FieldError(pointer="/name", code="invalid-name", detail=detail))
    if len(rules) > MOST_RULES:
        detail = f"A role has at most {MOST_RULES} rules: split it into several roles."
        errors.append(FieldError(pointer="/rules", code="too-many", detail=detail))
    seen: dict[RuleSpec, int] = {}
    for number, rule in enumerate(rules[:MOST_RULES]):
        errors.extend(_faults_of(rule, at=f"/rules/{number}"))
        if seen.setdefault(rule, number) != number:
            detail = f"This rule says the same as rule {seen[rule] + 1}: take one of them out."
            errors.append(FieldError(pointer=f"/rules/{number}", code="duplicate", detail=detail))
    if errors:
        raise InvalidRole(f"The role has {len(errors)} fault(s); the first: {errors[0].detail}", errors=tuple(errors))


def _faults_of(rule: RuleSpec, *, at: str) -> Iterator[FieldError]:
    if not rule.actions:
        yield _fault(f"{at}/actions", "required", "Name at least one action: publish, subscribe, or both.")
    try:
        parse(rule.topic)
    except Invalid as error:
        yield _fault(f"{at}/topic", error.code, error.detail)
    if rule.topic.count("/") >= MOST_LEVELS:
        yield _fault(f"{at}/topic", "too-deep", f"A topic filter of a rule has at most {MOST_LEVELS} levels.")
    if not rule.qos or not rule.qos <= EVERY_QOS:
        yield _fault(f"{at}/qos", "invalid-qos", "Name at least one of 0, 1 and 2, or leave qos out for all.")
    if rule.retain is not Retain.ANY and Action.PUBLISH not in rule.actions:
        detail = "Only publishes carry the retain flag: leave retain out, or add the action publish."
        yield _fault(f"{at}/retain", "publish-only", detail)
    if rule.shared is not Shared.ANY and Action.SUBSCRIBE not in rule.actions:
        detail = "Only subscriptions are shared: leave shared out, or add the action subscribe."
        yield _fault(f"{at}/shared", "subscribe-only", detail)
    if rule.shared_group is not None:
        if rule.shared is not Shared.ONLY:
            detail = "A shared group needs shared to be only: set it, or leave the group out."
            yield _fault(f"{at}/shared_group", "needs-shared-only", detail)
        if not _GROUP.fullmatch(rule.shared_group):
            detail = "A shared group is 1 to 255 characters without /, +, # and control characters (MQTT 5 4.8.2)."
            yield _fault(f"{at}/shared_group", "invalid-group", detail)


def _fault(pointer: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, code=code, detail=detail)
