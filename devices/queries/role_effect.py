"""What a change of one role gives and takes over the whole fleet, without looking at devices one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from acl import queries as roles
from acl.core.analysis_conditions import ALWAYS, Held
from acl.core.analysis_diff import FilterChange, filters_gained_and_lost
from acl.core.analysis_effect import changed_rules, have_a_say
from acl.core.analysis_work import Work
from acl.core.rules import RuleSpec
from acl.core.values import Role, RoleId
from devices.queries.domains import get_domain
from devices.queries.reaching import Reached, count_reached
from devices.queries.role_cohorts import RoleCounts, count_by_roles

_MOST_COHORTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCohort:
    """So many devices for whom the change is the same; `others` are names of other roles that have a say in it.

    `quarantined`: they have the role alone, since they are in quarantine; all others are active.
    """

    others: tuple[str, ...]
    count: int
    gained: tuple[FilterChange, ...]
    lost: tuple[FilterChange, ...]
    quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleEffect:
    """What becomes of the devices that have the role: `touched` of them gain or lose something.

    `unjudged` are in cohorts beyond the largest 200, or beyond 2,000 with bindings of their own. A device without a
    safe value for a placeholder of what is gained is counted, though the rule is void for it. It is `bounded` where it
    was too much work to be exact: then more may be said than is gained or lost, never less.
    """

    touched: int
    cohorts: tuple[RoleCohort, ...]
    unjudged: int
    bounded: bool = False


def role_effect(*, role: RoleId, rules: Sequence[RuleSpec], now: datetime) -> RoleEffect:
    """What devices gain and lose now when the role has `rules` instead of its own, the largest cohorts first.

    Raises RoleNotFound.
    """
    changing = roles.get_role(id=role)
    changed = changed_rules(changing.rules, rules)
    others = {other.id: other for other in roles.list_roles(domains=[changing.domain]) if other.id != role}
    meeting, work = Work(), Work()
    voices = {id: said for id, other in others.items() if (said := have_a_say(other.rules, changed, meeting))}
    counted = RoleCounts(by_roles={}, uncounted=0)
    if changed:
        counted = count_by_roles(
            domain=changing.domain, condition=Held(frozenset({role})), among=list(voices), most=_MOST_COHORTS, now=now
        )
    cohorts = list(_in_quarantine(changing, rules, work, now))
    for held, count in counted.by_roles.items():
        also = [rule for id in sorted(held) for rule in voices[id]]
        found = filters_gained_and_lost([*changing.rules, *also], [*rules, *also], work)
        if found.gained or found.lost:
            names = tuple(sorted(others[id].name for id in held))
            cohorts.append(RoleCohort(others=names, count=count, gained=found.gained, lost=found.lost))
    return RoleEffect(
        touched=sum(cohort.count for cohort in cohorts),
        cohorts=tuple(cohorts),
        unjudged=counted.uncounted,
        bounded=work.has_run_out,
    )


def _in_quarantine(changing: Role, rules: Sequence[RuleSpec], work: Work, now: datetime) -> Iterator[RoleCohort]:
    """The devices that have the role for being in quarantine."""
    if get_domain(id=changing.domain).quarantine_role != changing.id:
        return
    count = count_reached(Reached(domain=changing.domain, condition=ALWAYS, now=now, quarantine_role=changing.id))
    found = filters_gained_and_lost(changing.rules, rules, work)
    if count and (found.gained or found.lost):
        yield RoleCohort(others=(), count=count, gained=found.gained, lost=found.lost, quarantined=True)
