"""Who may do something: roles are asked first, then the database counts the devices; no device is loaded for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from acl import queries as roles
from acl.core.analysis_conditions import size_of
from acl.core.analysis_who_can import (
    Answer,
    Grant,
    PublishWithin,
    Question,
    rule_that_lets,
    steps_to_judge,
    who_could,
)
from acl.core.analysis_work import Work
from acl.core.values import Action, BindingRef, BoundRule, Publish, Role, RoleId, Subscribe
from brokers.core.answers import WhoCan
from devices import queries as devices
from devices.core.values import DeviceId, Domain
from devices.queries import Reached
from devices.queries.rollouts import rollouts_under_way
from kernel.core.ids import DomainId

_SAMPLE = 20
_GRANTS = 100
_GRANTS_ASKED, _MOST_CONDITIONS = 20, 600  # grants, and conditions in them, that the database is asked about
_EXAMINED = 5_000
_STEPS_OF_EXAMINING = 400_000


@dataclass(slots=True)
class _Found:
    """What is known so far."""

    count: int = 0
    sample: list[DeviceId] = field(default_factory=list)
    grants: dict[tuple[object, object], BoundRule] = field(default_factory=dict)
    more_grants: bool = False
    examined: int = 0
    undecided: int = 0
    work: Work = field(default_factory=Work)
    asking: Work = field(default_factory=lambda: Work(_MOST_CONDITIONS))
    examining: Work = field(default_factory=lambda: Work(_STEPS_OF_EXAMINING))
    asked: int = 0


def who_can(
    *, domains: Sequence[DomainId], action: Action, topic: str, qos: int = 0, retain: bool = False, now: datetime
) -> WhoCan:
    """Who may now publish to the topic (with wildcards: to some name of it), or subscribe to the filter.

    `topic` may be `$share/<group>/<filter>` for a subscription. The count is exact, but for devices that have to be
    judged one by one: of those 5,000 of each domain are, or fewer with many rules, the others are said to be undecided.
    By which bindings they may is looked up for 20 rules, or fewer with many conditions. Raises InvalidTopic.
    """
    return who_can_do(
        domains=domains, question=question_of(action=action, topic=topic, qos=qos, retain=retain), now=now
    )


def question_of(*, action: Action, topic: str, qos: int = 0, retain: bool = False) -> Question:
    """The question that people mean by an action and a topic."""
    if action is Action.SUBSCRIBE:
        return Subscribe.parse(topic, qos=qos)
    within = "+" in topic or "#" in topic
    return (PublishWithin if within else Publish)(topic=topic, qos=qos, retain=retain)


def who_can_do(*, domains: Sequence[DomainId], question: Question, now: datetime) -> WhoCan:
    """The same for a question in full; a `Receive` asks who may hear what is published to a topic name."""
    found = _Found()
    for id in domains:
        domain = devices.get_domain(id=id)
        known = {role.id: role for role in roles.list_roles(domains=[id])}
        for reached, answer in _answers(domain, known.values(), question, found.work, now):
            _add_sure(found, reached, answer, known)
            _add_examined(found, reached, answer, question)
    sample = found.sample[:_SAMPLE]
    return WhoCan(
        sample=tuple(sample),
        applications=devices.applications_among(ids=sample),
        count=found.count,
        grants=tuple(found.grants.values())[:_GRANTS],
        more_grants=found.more_grants,
        examined=found.examined,
        undecided=found.undecided,
        rollouts=tuple(rollout.sentence for rollout in rollouts_under_way(domains=domains)),
    )


def _answers(
    domain: Domain, known: Iterable[Role], question: Question, work: Work, now: datetime
) -> Iterator[tuple[Reached, Answer]]:
    """What holds for active devices, and for those in quarantine, who have the quarantine role alone."""
    every_role = list(known)
    answer = who_could(every_role, question, domain=domain.slug, work=work)
    yield Reached(domain=domain.id, condition=answer.condition, now=now), answer
    if domain.quarantine_role:
        alone = RoleId(domain.quarantine_role)
        answer = who_could([role for role in every_role if role.id == alone], question, domain=domain.slug, work=work)
        yield Reached(domain=domain.id, condition=answer.condition, now=now, quarantine_role=alone), answer


def _add_sure(found: _Found, reached: Reached, answer: Answer, known: dict[RoleId, Role]) -> None:
    count = devices.count_reached(reached)
    if not count:
        return
    found.count += count
    found.sample += devices.sample_reached(reached, limit=_SAMPLE - len(found.sample))
    for grant in answer.grants:
        found.asked += 1
        if (
            len(found.grants) >= _GRANTS
            or found.asked > _GRANTS_ASKED
            or not found.asking.spend(size_of(grant.condition))
        ):
            found.more_grants = True
            return
        for rule in _bound(reached, grant, known[grant.role], most=_GRANTS - len(found.grants)):
            found.grants[rule.rule.id, rule.binding and rule.binding.id] = rule


def _bound(reached: Reached, grant: Grant, role: Role, *, most: int) -> Iterator[BoundRule]:
    """The rule with each binding by which it lets somebody; with none if it is the quarantine role's."""
    theirs = replace(reached, condition=grant.condition)
    if reached.quarantine_role:
        if devices.any_reached(theirs):
            yield BoundRule(rule=grant.rule, role_name=role.name)
        return
    for row in devices.bindings_at_work(theirs, role=role.id, limit=most):
        ref = BindingRef(id=row.id, via=row.via, target=row.target)
        yield BoundRule(rule=grant.rule, role_name=role.name, binding=ref)


def _add_examined(found: _Found, reached: Reached, answer: Answer, question: Question) -> None:
    """Judges one by one those for whom the condition does not say it."""
    unsure = replace(reached, condition=answer.unsure)
    examined = 0
    for subject in devices.reached_subjects(unsure, limit=_EXAMINED):
        if not found.examining.spend(steps_to_judge(subject.policy, question)):
            break
        examined += 1
        if rule := rule_that_lets(subject.policy, subject.principal, question):
            found.count += 1
            found.sample.append(subject.device.id)
            found.grants.setdefault((rule.rule.id, rule.binding and rule.binding.id), rule)
    found.examined += examined
    if examined == _EXAMINED or found.examining.has_run_out:
        found.undecided += devices.count_reached(unsure) - examined
