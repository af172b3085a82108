"""What policy could do without, and what is denied again and again, from what brokers told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Max, Sum

from acl import queries as roles
from acl.core.rules import RuleSpec
from acl.core.suggestions import Observed, Suggestion, suggest, without_surplus
from acl.core.values import Action, Effect, Role, RoleId, Rule, RuleId
from brokers import models
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.access.use import DayHeard, reports_use
from brokers.core.values import AdapterKind
from devices import queries as devices
from devices.core.policy_changes import PolicyChange
from devices.core.policy_editing import role_of, with_role
from devices.core.values import DeviceId
from devices.core.windows import WindowState
from devices.queries.policy import policy_document
from devices.services.policy_changes import draft_change
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId

MOST_DAYS = 365
UNUSED_DAYS = 30
MOST_DENIED = 100
OFTEN = 3
"""Who was denied the same as often as that may have a reason."""


class BadDays(Invalid):
    """A number of days that nothing is kept for."""

    code = "invalid-days"


class SuggestionGone(Conflict):
    """What was suggested is no longer suggested."""

    code = "suggestion-gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleUse:
    """How a rule was used. `unknown` says why nobody can tell that it was not; empty if its every use is known."""

    role: Role
    rule: Rule
    count: int
    last_day: date | None
    unknown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """What a device was denied, how often and when last; by that deny rule, or None if no rule allows it."""

    domain: DomainId
    device: DeviceId
    action: AccessAction
    topic: str
    reason: AccessReason
    rule: RuleId | None
    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """What is suggested, how each rule was used, and at most 100 things that were denied, the most frequent first."""

    days: int
    suggested: tuple[Suggestion, ...]
    uses: tuple[RuleUse, ...]
    denied: tuple[Denied, ...]


def suggest_changes(
    *, domains: Sequence[DomainId], role: RoleId | None = None, days: int = UNUSED_DAYS, now: datetime
) -> Suggestions:
    """What the last so many whole days (UTC) say about the roles of the domains, or about one role.

    Of one role, what its own deny rules denied. Raises BadDays.
    """
    if not 1 <= days <= MOST_DAYS:
        raise BadDays(f"Give 1 to {MOST_DAYS} days.")
    until = now.astimezone(UTC).date()
    since = until - timedelta(days=days)
    suggested: list[Suggestion] = []
    uses: list[RuleUse] = []
    rules: set[RuleId] = set()
    for domain in domains:
        known = [each for each in roles.list_roles(domains=[domain], with_own=False) if role in (None, each.id)]
        if not known:
            continue
        found = _of_domain(domain, known, since=since, until=until)
        uses += found.values()
        rules |= {rule.id for each in known for rule in each.rules}
        watched = {id for id, use in found.items() if not use.unknown}
        observed = _observed(domain, found, since=since)
        for each in known:
            suggested += suggest(each, observed, watched=watched, days=days)
    denied = _denied(domains, None if role is None else rules, since=since)
    return Suggestions(days=days, suggested=tuple(suggested), uses=tuple(uses), denied=denied)


def draft_suggestions(
    *, domain: DomainId, suggestions: Collection[str], days: int = UNUSED_DAYS, actor: Actor, now: datetime
) -> PolicyChange:
    """The draft that does what these suggestions, by their ids, say. Nothing of it is in force before it is applied.

    Raises SuggestionGone, BadDays, and what draft_change raises.
    """
    there = {each.id: each for each in suggest_changes(domains=[domain], days=days, now=now).suggested}
    gone = [id for id in suggestions if id not in there]
    if gone or not suggestions:
        raise SuggestionGone("That is no longer suggested: look at the suggestions again.")
    chosen = [there[id] for id in dict.fromkeys(suggestions)]
    document = policy_document(domain=domain)
    names = sorted({each.role.name for each in chosen})
    for name in names:
        ours = [each for each in chosen if each.role.name == name]
        spec, role = role_of(document, name), ours[0].role
        if spec.rules != tuple(map(RuleSpec.of, role.rules)):
            raise SuggestionGone(f"The role {name} was changed meanwhile: look at the suggestions again.")
        document = with_role(document, replace(spec, rules=without_surplus(role.rules, ours)), was=name)
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    title = f"Narrow {shown} to what was used in {days} days"
    return draft_change(domain=domain, title=title, document=document, actor=actor, now=now)


def _of_domain(domain: DomainId, known: Iterable[Role], *, since: date, until: date) -> dict[RuleId, RuleUse]:
    """How each allow rule of the roles was used, and whether that is all."""
    counted = {
        RuleId(row["rule_id"]): row
        for row in models.RuleUse.objects.filter(broker__domain_id=domain, day__gte=since)
        .values("rule_id")
        .annotate(total=Sum("count"), last=Max("day"))
        .order_by()
    }
    silent = _silent(domain, since=since, until=until)
    begin = datetime.combine(since, time.min, UTC)
    bound = {
        binding.role: binding.id
        for binding in reversed(devices.list_bindings(domains=[domain]))
        if all(binding.window.state(at) is WindowState.IN_FORCE for at in (begin, begin + (until - since)))
    }
    quarantine = devices.get_domain(id=domain).quarantine_role
    found = {}
    for role in known:
        for rule in role.rules:
            if rule.effect is Effect.DENY:
                continue
            row = counted.get(rule.id)
            found[rule.id] = RuleUse(
                role=role,
                rule=rule,
                count=row["total"] if row else 0,
                last_day=row["last"] if row else None,
                unknown=_why_unknown(
                    rule, bound.get(role.id), silent, since=since, in_quarantine=role.id == quarantine
                ),
            )
    return found


def _why_unknown(
    rule: Rule, binding: UUID | None, silent: Mapping[Action, str], *, since: date, in_quarantine: bool
) -> str:
    if in_quarantine:
        return "It is for devices in quarantine."
    if binding is None:
        return "Nobody has had the role all the time."
    if _made_on(rule.id) > since or _made_on(binding) > since:
        return "It is too new."
    return next((silent[action] for action in Action if action in rule.actions and action in silent), "")


def _made_on(id: UUID) -> date:
    """The day in a UUIDv7 (RFC 9562 5.7); the last there is for any other."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC).date() if id.version == 7 else date.max


def _silent(domain: DomainId, *, since: date, until: date) -> dict[Action, str]:
    """The actions of which some broker that lets the domain's devices in does not tell everything, with a sentence."""
    heard: dict[UUID, dict[date, DayHeard]] = {}
    for row in models.HeardDay.objects.filter(broker__domain_id=domain):
        told = {Action.PUBLISH: row.publishes, Action.SUBSCRIBE: row.subscribes}
        day = DayHeard(day=row.day, minutes=row.minutes, told=told, lost=row.lost)
        heard.setdefault(row.broker_id, {})[row.day] = day
    known = models.Broker.objects.of_domains([domain])
    brokers = [broker for broker in known if broker.managed_since is not None or broker.id in heard]
    if not brokers:
        return dict.fromkeys(Action, "No broker of the domain holds its policy.")
    found: dict[Action, str] = {}
    for broker in brokers:
        reported = reports_use(AdapterKind(broker.kind), heard.get(broker.id, {}), since=since, until=until)
        for action in Action:
            if action not in reported:
                found.setdefault(action, f"{broker.name} did not tell of every {action.value} in this time.")
    return found


def _observed(domain: DomainId, rules: Collection[RuleId], *, since: date) -> dict[RuleId, Observed]:
    rows = models.RuleUse.objects.filter(broker__domain_id=domain, day__gte=since, rule_id__in=rules)
    found: dict[RuleId, Observed] = {}
    for rule_id, count, filters in rows.values_list("rule_id", "count", "filters"):
        rule = RuleId(rule_id)
        before = found.get(rule)
        together = frozenset(filters) | (before.filters if before else frozenset())
        told = bool(filters) and (before is None or bool(before.filters))
        total = count + (before.count if before else 0)
        found[rule] = Observed(count=total, filters=together if told else frozenset())
    return found


def _denied(domains: Sequence[DomainId], rules: Collection[RuleId] | None, *, since: date) -> tuple[Denied, ...]:
    rows = models.DeniedAttempt.objects.filter(broker__domain_id__in=domains, day__gte=since)
    if rules is not None:
        rows = rows.filter(rule_id__in=rules)
    grouped = rows.values("broker__domain_id", "device_id", "action", "topic", "reason", "rule_id")
    often = grouped.annotate(total=Sum("count"), last=Max("last_at")).filter(total__gte=OFTEN)
    return tuple(
        Denied(
            domain=DomainId(row["broker__domain_id"]),
            device=DeviceId(row["device_id"]),
            action=AccessAction(row["action"]),
            topic=row["topic"],
            reason=AccessReason(row["reason"]),
            rule=RuleId(row["rule_id"]) if row["rule_id"] else None,
            count=row["total"],
            last_at=row["last"],
        )
        for row in often.order_by("-total", "device_id", "topic")[:MOST_DENIED]
    )
