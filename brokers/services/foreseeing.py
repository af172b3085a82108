"""What a change of policy would do before anything is done: to the fleet, and on every broker of the domain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from acl.core.analysis_diff import filters_gained_and_lost
from acl.core.analysis_work import Work
from acl.core.rules import RuleSpec
from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.foresight import ForeseenBroker, ForeseenCohort, ForeseenFilter, Foresight, foreseen_filter
from brokers.core.plans import planned_deviation, unaccepted
from brokers.core.ports import AppliedState, DesiredState, Effect
from brokers.core.standing import render_subject
from brokers.core.values import Broker
from devices import queries as devices
from devices.core.policy_document import PolicyDocument, bindings_at_work
from devices.core.policy_in_force import PolicyInForce
from devices.core.values import DeviceSubject
from devices.queries.concerned import concerned_devices
from devices.queries.policy import policy_now
from kernel.core.ids import DomainId

MOST_EXAMINED = 2_000
_MOST_COHORTS = 40
_MOST_FILTERS = 50
_MOST_MOMENTS = 4
_SAMPLE = 5
_CHUNK = 500

Key = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(slots=True)
class _Cohort:
    count: int = 0
    devices: list[str] = field(default_factory=list)


def foresee_change(*, domain: DomainId, before: PolicyDocument, after: PolicyDocument, now: datetime) -> Foresight:
    """What would come of `after` where `before` holds: who gains and loses which filters, and what brokers make of it.

    In a domain of more than 2,000 devices those alone are examined that the change could touch, at most 2,000, by auth
    id. What only begins or ends later is told for the first four moments to come. No broker is contacted.
    """
    known = policy_now(domain=domain)
    ids = {(role.name, RuleSpec.of(rule)): rule.id for role in known.roles.values() for rule in role.rules}

    def at(moment: datetime) -> tuple[PolicyInForce, PolicyInForce]:
        old = PolicyInForce(before, rule_ids=ids, binding_ids=known.bindings, now=moment)
        return old, PolicyInForce(after, rule_ids=ids, binding_ids=known.bindings, now=moment)

    old, new = at(now)
    subjects, concerned, whole = _examined(domain, before, after, now)
    before_that = at_once = set(_cohorts(subjects, old, new))
    cohorts, touched = _in_order(at_once), _count(at_once)
    for moment in _moments(before, after, now):
        then = set(_cohorts(subjects, *at(moment)))
        cohorts += [replace(cohort, at=moment) for cohort in _in_order(then - before_that)]
        before_that, touched = then, max(touched, _count(then))
    return Foresight(
        concerned=concerned,
        examined=len(subjects),
        touched=touched,
        cohorts=tuple(cohorts[:_MOST_COHORTS]),
        more_cohorts=max(0, len(cohorts) - _MOST_COHORTS),
        brokers=tuple(
            _broker(broker, _desired(subjects, old, whole=whole), _desired(subjects, new, whole=whole))
            for broker in queries.list_brokers(domains=[domain])
        ),
    )


def _moments(before: PolicyDocument, after: PolicyDocument, now: datetime) -> list[datetime]:
    """The next moments at which the change does something else, since a binding that it is about begins or ends."""
    windows = (binding.window for binding in bindings_at_work(before, after))
    return sorted({moment for window in windows for moment in window.boundaries_after(now)})[:_MOST_MOMENTS]


def _in_order(cohorts: Iterable[ForeseenCohort]) -> list[ForeseenCohort]:
    return sorted(cohorts, key=lambda cohort: (-cohort.count, cohort.roles_after, cohort.roles_before))


def _count(cohorts: Iterable[ForeseenCohort]) -> int:
    return sum(cohort.count for cohort in cohorts)


def _examined(
    domain: DomainId, before: PolicyDocument, after: PolicyDocument, now: datetime
) -> tuple[list[DeviceSubject], int, bool]:
    """Who is examined, how many are concerned, and whether those examined are all devices of the domain."""
    subjects = list(islice(devices.iterate_subjects(domain=domain, now=now), MOST_EXAMINED + 1))
    if len(subjects) <= MOST_EXAMINED:
        return subjects, len(subjects), True
    ids, concerned = concerned_devices(domain=domain, before=before, after=after, limit=MOST_EXAMINED)
    chunks = (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
    return [each for chunk in chunks for each in devices.subjects_among(devices=chunk, now=now)], concerned, False


def _cohorts(subjects: Iterable[DeviceSubject], old: PolicyInForce, new: PolicyInForce) -> Iterator[ForeseenCohort]:
    """Those of them that gain or lose something: rules are compared once for all devices with the same roles."""
    found: dict[Key, _Cohort] = defaultdict(_Cohort)
    for subject in subjects:
        cohort = found[old.role_names(subject.device), new.role_names(subject.device)]
        cohort.count += 1
        if len(cohort.devices) < _SAMPLE:
            cohort.devices.append(subject.device.auth_id)
    work = Work()
    for (names, later), cohort in found.items():
        was, will_be = old.rules(names), new.rules(later)
        if was == will_be:
            continue
        difference = filters_gained_and_lost(was, will_be, work)
        gained, lost = map(foreseen_filter, difference.gained), map(foreseen_filter, difference.lost)
        if difference.gained or difference.lost:
            yield _bounded(names, later, cohort, list(gained), list(lost), is_coarse=difference.bounded)


def _bounded(
    names: tuple[str, ...],
    later: tuple[str, ...],
    cohort: _Cohort,
    gained: list[ForeseenFilter],
    lost: list[ForeseenFilter],
    *,
    is_coarse: bool,
) -> ForeseenCohort:
    return ForeseenCohort(
        roles_before=names,
        roles_after=later,
        count=cohort.count,
        devices=tuple(cohort.devices),
        gained=tuple(gained[:_MOST_FILTERS]),
        lost=tuple(lost[:_MOST_FILTERS]),
        bounded=is_coarse or max(len(gained), len(lost)) > _MOST_FILTERS,
    )


def _desired(subjects: Iterable[DeviceSubject], policy: PolicyInForce, *, whole: bool) -> DesiredState:
    rendered = tuple(render_subject(replace(subject, policy=policy.policy_of(subject.device))) for subject in subjects)
    only = None if whole else frozenset(subject.principal.auth_id for subject in rendered)
    return DesiredState(subjects=rendered, only=only)


def _broker(broker: Broker, old: DesiredState, new: DesiredState) -> ForeseenBroker:
    adapter = adapter_for(queries.link_to(broker=broker.id))
    was, will_be = adapter.render(old), adapter.render(new)
    accepted = models.Broker.objects.values_list("accepted_deviations", flat=True).get(id=broker.id)
    tells = adapter.capabilities.stores_policy
    held = AppliedState(artifact=was.artifact, only=old.only)
    return ForeseenBroker(
        name=broker.name,
        managed=broker.managed_since is not None,
        tells=tells,
        deviations=tuple(planned_deviation(deviation) for deviation in will_be.deviations),
        fresh=frozenset(deviation.id for deviation in will_be.deviations)
        - {deviation.id for deviation in was.deviations},
        blocked=frozenset(unaccepted(will_be.deviations, accepted)),
        effect=adapter.effect(new, held) if tells else Effect(),
    )
