"""Adopting what a broker holds: a draft that makes the policy say so, as far as rules of single devices can.

Nothing of it is in force before the draft is applied, with the approvals that the domain asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from acl.core.own_rules import own_role_name
from acl.core.rules import RuleSpec
from acl.core.values import BoundRule, Request, RuleId
from brokers import queries
from brokers.conf import adapter_for
from brokers.core.adoption import Adoptee, Judge, LeftOver, OwnRules, left_by, own_rules_of, without
from brokers.core.ports import (
    AppliedState,
    BrokerAdapter,
    DesiredState,
    Effect,
    Rendering,
    RenderSubject,
    Standing,
)
from brokers.core.values import BrokerId
from brokers.services.desired import desired_state
from devices import queries as devices
from devices.core.policy_changes import PolicyChange
from devices.core.policy_own_rules import with_own_rules
from devices.core.values import DeviceState, PrincipalKind
from devices.queries.device_rules import device_rules
from devices.queries.policy import policy_document
from devices.services.policy_changes import draft_change
from devices.services.policy_gate import lock_policy
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, DomainError
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record

_NOTHING = "Nobody may more or less there than the policy says, or no plan was applied to it yet."


class NothingToAdopt(Conflict):
    """What the broker holds can not become policy, or is it already."""

    code = "nothing-to-adopt"


class PolicyMoved(Conflict):
    """Somebody changed the policy while the broker was looked at."""

    code = "policy-moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """The rules that devices would have alone, and what stays to be corrected, each with the reason."""

    rules: tuple[OwnRules, ...]
    left: tuple[LeftOver, ...]


def adoption_of(*, broker: BrokerId, now: datetime) -> Adoption:
    """What could be adopted of what the broker holds now; nothing, if no plan was applied to it yet.

    Changes nothing, there or here. Raises BrokerNotFound, BrokerUnreachable, NothingToAdopt (it differs in too much).
    """
    link = queries.link_to(broker=broker)
    if link.broker.managed_since is None:
        return Adoption(rules=(), left=())
    adapter = adapter_for(link)
    applied = adapter.read()
    desired = desired_state(domain=link.broker.domain, broker=broker, now=now)
    effect = adapter.effect(desired, applied)
    if effect.bounded:
        raise NothingToAdopt("It differs in more than can be said device by device: change a role, or correct it.")
    named = {line.auth_id for line in (*effect.lose, *effect.gain)}
    subjects = {each.principal.auth_id: each for each in desired.subjects if each.principal.auth_id in named}
    adoptees, why_not = _adoptees(link.broker.domain, subjects)
    judge = _judge(adapter, applied, subjects)
    found, left = own_rules_of(effect, adoptees=adoptees, why_not=why_not, judge=judge)
    odd = list(left_by(effect, _tried(adapter, subjects, found), found))
    return Adoption(rules=tuple(without(found, odd)), left=(*left, *odd))


def adopt_drift(*, broker: BrokerId, actor: Actor, now: datetime) -> tuple[PolicyChange, Adoption]:
    """The draft by which the policy would say what the broker holds, and what it does not say.

    Raises what adoption_of raises, NothingToAdopt, PolicyMoved, and what draft_change raises.
    """
    known = queries.get_broker(id=broker)
    document = policy_document(domain=known.domain)
    adoption = adoption_of(broker=broker, now=now)
    if not adoption.rules:
        why = adoption.left[0].why if adoption.left else _NOTHING
        raise NothingToAdopt(f"Nothing of it can be adopted. {why}")
    with transaction.atomic():
        lock_policy(known.domain)
        if policy_document(domain=known.domain) != document:
            raise PolicyMoved("The policy was changed meanwhile: see what is left to adopt.")
        for one in adoption.rules:
            document = with_own_rules(document, one.name, one.rules)
        title = f"What {known.name} holds"
        change = draft_change(domain=known.domain, title=title, document=document, actor=actor, now=now)
        record(
            action="brokers.drift.adopted",
            subject=Subject(kind="brokers.broker", id=str(broker), label=known.name),
            actor=actor,
            now=now,
            domain=known.domain,
            after={"policy_change": str(change.id), "devices": len(adoption.rules), "left": len(adoption.left)},
        )
    return change, adoption


def _adoptees(domain: DomainId, subjects: Mapping[str, RenderSubject]) -> tuple[dict[str, Adoptee], dict[str, str]]:
    """Those of the principals that rules may be adopted for, and of the others why not."""
    found: dict[str, Adoptee] = {}
    why_not: dict[str, str] = {}
    for auth_id, subject in subjects.items():
        device = devices.find_principal_by_auth_id(domain=domain, auth_id=auth_id)
        if device is None:
            continue
        if device.kind is PrincipalKind.APPLICATION:
            why_not[auth_id] = "It is an application: give it a role."
        elif device.state is not DeviceState.ACTIVE:
            why_not[auth_id] = f"The device is {device.state.value}: what it may is not up to the broker."
        elif subject.state is not Standing.ADMITTED:
            why_not[auth_id] = "The device has no good certificate: it is let in nowhere."
        else:
            own = device_rules(domain=domain, name=device.name).rules
            found[auth_id] = Adoptee(name=device.name, own=tuple(map(RuleSpec.of, own)))
    return found, why_not


def _judge(adapter: BrokerAdapter, applied: AppliedState, subjects: Mapping[str, RenderSubject]) -> Judge:
    held = Rendering(artifact=applied.artifact)

    def judge(auth_id: str, request: Request) -> bool | None:
        try:
            return adapter.enforces(held, subjects[auth_id].principal, request)
        except (DomainError, ValueError):  # something by hand that is not read as what we write
            return None

    return judge


def _tried(adapter: BrokerAdapter, subjects: Mapping[str, RenderSubject], found: Sequence[OwnRules]) -> Effect:
    """What would still be corrected of these devices, if they had the rules."""
    names = frozenset(one.auth_id for one in found)
    if not names:
        return Effect()
    wanted = tuple(_with_own(subjects[one.auth_id], one) for one in found)
    return adapter.effect(DesiredState(subjects=wanted, only=names), adapter.read(only=names))


def _with_own(subject: RenderSubject, one: OwnRules) -> RenderSubject:
    role = own_role_name(one.name)
    others = [bound for bound in subject.policy if bound.role_name != role]
    own = [BoundRule(rule=spec.with_id(RuleId(new_id())), role_name=role) for spec in one.rules]
    return replace(subject, policy=(*others, *own))
