"""Who may do something, as a condition on devices: computed from roles alone, whatever the size of the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from acl.core.analysis_conditions import NEVER, Condition, Held, every, negated, some
from acl.core.analysis_filters import common_part, templates_cover, widened
from acl.core.analysis_matching import (
    Levels,
    Pattern,
    common_levels,
    covering,
    may_be_too_long,
    meeting,
    pattern_of,
    target_of,
)
from acl.core.analysis_work import Work
from acl.core.evaluation import effective, evaluate, why_not
from acl.core.topics import WILDCARDS, levels_of, valid_filter, valid_name
from acl.core.values import (
    EVERY_QOS,
    Action,
    Allow,
    BoundRule,
    Effect,
    Principal,
    Publish,
    Receive,
    Role,
    RoleId,
    Rule,
    Subscribe,
)
from kernel.core.ids import DomainId

_STEPS_OF_A_CONDITION = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishWithin:
    """A wish to publish to some topic name under the filter `topic`."""

    topic: str
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveWithin:
    """A message on some topic name under the filter `topic` that is about to be delivered."""

    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _SubscribeWithin:
    """A wish to subscribe to some topic name under the filter `topic`."""

    topic: str
    qos: int = 0
    group: str | None = None


Question = Publish | Subscribe | Receive | PublishWithin | ReceiveWithin
_Within = PublishWithin | _SubscribeWithin
_Asked = Publish | Subscribe | _Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A rule that lets devices do it, and which ones: those that have its role and to whom the condition applies."""

    role: RoleId
    rule: Rule
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who may for sure, and by which rules. Devices of `unsure` are in neither: they have to be judged one by one.

    Those are under a template that may become too long for a topic, or under several denies that perhaps take away
    together what none of them does alone; or they have a role of which it would be too much work to say.
    """

    condition: Condition
    grants: tuple[Grant, ...]
    unsure: Condition


@dataclass(frozen=True, slots=True)
class _Clause:
    role: RoleId
    rule: Rule
    pattern: Pattern

    def held(self, condition: Condition) -> Condition:
        return every(Held(frozenset({self.role})), condition)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Possibility:
    """One way of doing it: what lets a device, unless it is taken away. `doubt`: it may be taken away after all."""

    lets: list[tuple[_Clause, Condition]]
    taken: Condition
    doubt: Condition = NEVER

    @property
    def condition(self) -> Condition:
        return every(some(*(lets for _, lets in self.lets)), negated(self.taken))


def who_could(roles: Iterable[Role], question: Question, *, domain: str, work: Work | None = None) -> Answer:
    """Which rules let which devices of the domain of that slug. Raises InvalidTopic."""
    every_role, left = tuple(roles), work or Work()
    found: list[_Possibility] = []
    seen: set[tuple[tuple[_Clause, ...], tuple[_Clause, ...]]] = set()
    for request in _ways(every_role, question):
        if not left.spend(4 * sum(len(role.rules) for role in every_role)):
            break
        allows = tuple(_clauses(every_role, request, Effect.ALLOW, domain=domain))
        denies = tuple(_clauses(every_role, request, Effect.DENY, domain=domain))
        if not isinstance(request, _Within):
            if (allows, denies) not in seen and left.spend(_STEPS_OF_A_CONDITION * (len(allows) + len(denies))):
                found.append(_judged(request, allows, denies))
                seen.add((allows, denies))
            continue
        new = tuple(allow for allow in allows if ((allow,), denies) not in seen)
        seen |= {((allow,), denies) for allow in new}
        found += _within(request, new, denies, left)
    if left.has_run_out:
        found = []
    doubt = some(*_undecided(every_role, left), *(possibility.doubt for possibility in found))
    sure = negated(doubt)
    grants = [Grant(role=g.role, rule=g.rule, condition=every(g.condition, sure)) for g in _summed(found)]
    return Answer(
        condition=every(some(*(possibility.condition for possibility in found)), sure),
        grants=tuple(grant for grant in grants if grant.condition != NEVER),
        unsure=doubt,
    )


def _ways(roles: Sequence[Role], question: Question) -> Iterator[_Asked]:
    """The requests of which one has to be allowed: a delivery needs some subscription to just the topic name."""
    if isinstance(question, Subscribe | PublishWithin | ReceiveWithin):
        valid_filter(question.topic)
    else:
        valid_name(question.topic)
    if not isinstance(question, Receive | ReceiveWithin):
        yield question
        return
    wish = Subscribe if isinstance(question, Receive) else _SubscribeWithin
    groups = sorted({rule.shared_group for role in roles for rule in role.rules if rule.shared_group})
    for qos in sorted(EVERY_QOS):
        yield from (wish(topic=question.topic, qos=qos, group=group) for group in (None, "", *groups))


def _plain(request: _Asked) -> Publish | Subscribe:
    """The request that has the same conditions."""
    if isinstance(request, PublishWithin):
        return Publish(topic=request.topic, qos=request.qos, retain=request.retain)
    if isinstance(request, _SubscribeWithin):
        return Subscribe(topic=request.topic, qos=request.qos, group=request.group)
    return request


def _clauses(roles: Iterable[Role], request: _Asked, effect: Effect, *, domain: str) -> Iterator[_Clause]:
    """The rules that are about the request, whatever their topic is."""
    plain = _plain(request)
    action = Action.SUBSCRIBE if isinstance(plain, Subscribe) else Action.PUBLISH
    for role in roles:
        for rule in role.rules:
            if rule.effect is effect and action in rule.actions and not why_not(rule, plain):
                pattern = pattern_of(rule.topic, domain=domain, widens=effect is Effect.DENY)
                yield _Clause(role.id, rule, pattern)


def _judged(request: Publish | Subscribe, allows: Sequence[_Clause], denies: Sequence[_Clause]) -> _Possibility:
    """A filter is refused where a deny meets it, a topic name where a deny covers it."""
    target = target_of(request.topic)
    hits = meeting if isinstance(request, Subscribe) else covering
    taken = some(*(deny.held(hits(deny.pattern, target)) for deny in denies))
    lets = [(allow, allow.held(covering(allow.pattern, target))) for allow in allows]
    return _Possibility(lets=lets, taken=taken)


def _within(
    request: _Within, allows: Sequence[_Clause], denies: Sequence[_Clause], work: Work
) -> Iterator[_Possibility]:
    """Some name of what an allow and the filter have in common has to be free of every deny."""
    target = target_of(request.topic)
    for allow in allows:
        met = meeting(allow.pattern, target)
        if met == NEVER:
            continue
        common = common_levels(allow.pattern, target)
        close = [deny for deny in denies if _may_meet(deny.pattern.levels, common)]
        if not work.spend(len(denies) + _STEPS_OF_A_CONDITION * len(close) * (1 + len(common) // 8)):
            return
        taken = some(*(deny.held(covering(deny.pattern, common)) for deny in close))
        near = [deny for deny in close if meeting(deny.pattern, common) != NEVER]
        found = _Possibility(lets=[(allow, allow.held(met))], taken=taken)
        yield replace(found, doubt=found.condition) if _perhaps_taken_together(common, near) else found


def _may_meet(ours: Levels, theirs: Levels) -> bool:
    """Whether none of the first four levels is spelled in two ways; beyond them nobody looks."""
    pairs = zip(ours[:4], theirs[:4], strict=False)
    return not any(
        our != their and isinstance(our, str) and isinstance(their, str) and WILDCARDS.isdisjoint((our, their))
        for our, their in pairs
    )


def _perhaps_taken_together(common: Levels, denies: Sequence[_Clause]) -> bool:
    """Whether several of the denies could cover what is in common though none does alone."""
    if len(denies) < 2:
        return False
    spelled = "/".join(level if isinstance(level, str) else "\x00" for level in common)
    return templates_cover([_widest(deny, common) for deny in denies], spelled)


def _widest(deny: _Clause, common: Levels) -> str:
    """What the deny covers at most, if values in it and in what is in common are the same by chance."""
    *before, last = levels_of(widened(deny.rule.topic))
    values = {position for position, level in enumerate(common) if not isinstance(level, str)}
    spelled = ["+" if position in values else level for position, level in enumerate(before)]
    return "/".join([*spelled, "+" if len(before) in values and last != "#" else last])


def _summed(possibilities: Iterable[_Possibility]) -> list[Grant]:
    """One grant for each rule, in the order given."""
    by_rule: dict[_Clause, list[Condition]] = {}
    for possibility in possibilities:
        for allow, lets in possibility.lets:
            by_rule.setdefault(allow, []).append(every(lets, negated(possibility.taken)))
    return [
        Grant(role=allow.role, rule=allow.rule, condition=some(*conditions)) for allow, conditions in by_rule.items()
    ]


def rule_that_lets(policy: Sequence[BoundRule], principal: Principal, question: Question) -> BoundRule | None:
    """The first rule that lets the principal, or None: one device judged by itself. Raises InvalidTopic."""
    if not isinstance(question, PublishWithin | ReceiveWithin):
        verdict = evaluate(policy, principal, question)
        return verdict.rule if isinstance(verdict, Allow) else None
    role = Role(id=RoleId(UUID(int=0)), domain=DomainId(UUID(int=0)), name="", rules=tuple(b.rule for b in policy))
    rules = [(each.bound, each.filter) for each in effective(policy, principal) if each.filter is not None]
    for way in map(_plain, _ways([role], question)):
        action = Action.SUBSCRIBE if isinstance(way, Subscribe) else Action.PUBLISH
        asked = [(b, filter) for b, filter in rules if action in b.rule.actions and not why_not(b.rule, way)]
        denied = [filter for bound, filter in asked if bound.rule.effect is Effect.DENY]
        for bound, filter in asked:
            common = common_part(filter, question.topic) if bound.rule.effect is Effect.ALLOW else None
            if common and not templates_cover(denied, common.filter):
                return bound
    return None


def steps_to_judge(policy: Sequence[BoundRule], question: Question) -> int:
    """How much work `rule_that_lets` is at most, in comparisons of two filters."""
    if not isinstance(question, PublishWithin | ReceiveWithin):
        return len(policy)
    allows = sum(bound.rule.effect is Effect.ALLOW for bound in policy)
    groups = {bound.rule.shared_group for bound in policy}
    ways = 1 if isinstance(question, PublishWithin) else len(EVERY_QOS) * (1 + len(groups))
    return ways * (len(policy) + allows * (len(policy) - allows))


def _undecided(roles: Iterable[Role], work: Work) -> Iterator[Condition]:
    """Who has a role with a template that may become too long; with any allow, once the work has run out."""
    for role in roles:
        allows = work.has_run_out and any(rule.effect is Effect.ALLOW for rule in role.rules)
        if allows or any(may_be_too_long(rule.topic) for rule in role.rules):
            yield Held(frozenset({role.id}))
