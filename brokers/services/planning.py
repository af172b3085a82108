"""A plan: what applying the policy to a broker would do; and its application."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Coalesce

from brokers import models, queries
from brokers.conf import adapter_for
from brokers.core.plans import (
    Plan,
    effect_rows,
    planned_deviation,
    rendering_digest,
    require_acceptance,
    unaccepted,
)
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, DesiredState, Rendering, Step
from brokers.core.values import Broker, BrokerId, PlanId, SyncState
from brokers.services import records
from brokers.services.accounts import note_accounts
from brokers.services.desired import desired_state
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import EntryId
from kernel.core.journal import Subject
from kernel.services import record

_KEPT_PLANS = 20
_KEPT_STEPS = 1_000
_NOT_KEPT = "It holds everything, and is not kept so: nobody who is revoked is shut out before this plan is applied."


class PlanStale(Conflict):
    """The policy has changed since the plan was made."""

    code = "plan-stale"


def plan_broker(*, broker: BrokerId, actor: Actor, now: datetime) -> Plan:
    """The plan, computed from what the broker holds now. Raises BrokerUnreachable within 15 s."""
    link = queries.link_to(broker=broker)
    adapter = adapter_for(link)
    try:
        applied = adapter.read()
    except BrokerUnreachable as error:
        records.note_unreachable(broker=broker, now=now, detail=error.detail)
        raise
    desired = desired_state(domain=link.broker.domain, broker=broker, now=now)
    note_accounts(broker=broker, desired=desired, applied=applied)
    steps = adapter.plan(desired, applied)
    if link.broker.sync is SyncState.UNREACHABLE:
        records.note_contact(broker=broker, now=now, version=applied.version, sync=SyncState.PENDING, detail="")
    else:
        records.note_contact(broker=broker, now=now, version=applied.version)
    return _store(link.broker, adapter, desired, applied, steps, actor=actor, now=now)


def _store(
    broker: Broker,
    adapter: BrokerAdapter,
    desired: DesiredState,
    applied: AppliedState,
    steps: tuple[Step, ...],
    *,
    actor: Actor,
    now: datetime,
) -> Plan:
    rendering, effect = adapter.render(desired), adapter.effect(desired, applied)
    with transaction.atomic():
        row = models.Plan.objects.create(
            broker_id=broker.id,
            steps=[{"kind": step.kind, "target": step.target, "summary": step.summary} for step in steps[:_KEPT_STEPS]],
            deviations=[asdict(planned_deviation(deviation)) for deviation in rendering.deviations],
            effect={
                "gain": effect_rows(effect.gain),
                "lose": effect_rows(effect.lose),
                "bounded": effect.bounded or len(steps) > _KEPT_STEPS,
            },
            warnings=[*rendering.warnings, *effect.warnings, *(() if steps or broker.managed_since else (_NOT_KEPT,))],
            in_sync=not steps,
            desired_digest=rendering_digest(rendering),
            created_at=now,
            created_by=actor.label[:255],
        )
        kept = models.Plan.objects.filter(broker_id=broker.id).order_by("-created_at", "-id")[:_KEPT_PLANS]
        models.Plan.objects.filter(broker_id=broker.id).exclude(pk__in=[plan.pk for plan in kept]).delete()
    return row.as_value()


def apply_plan(
    *, broker: BrokerId, plan: PlanId, accept_deviations: tuple[str, ...], actor: Actor, now: datetime
) -> EntryId:
    """The operation that applies the plan; from then on the broker is kept in agreement with the policy.

    What the broker holds is read again when the operation runs, so a change made there by hand is put right as well.
    Raises PlanNotFound, PlanStale, DeviationNotAccepted.
    """
    shown = queries.get_plan(plan=plan, broker=broker)
    if rendering_digest(render_broker(broker=broker, now=now)) != shown.desired_digest:
        raise PlanStale("The policy has changed since this plan was made: make a new plan and look at it again.")
    require_acceptance(shown.deviations, accept_deviations)
    accepted = [name for name in unaccepted(shown.deviations, ()) if name in accept_deviations]
    with transaction.atomic():
        row = models.Broker.objects.select_for_update().get(id=broker)
        models.Broker.objects.filter(id=broker).update(
            accepted_deviations=sorted({*row.accepted_deviations, *accepted}),
            managed_since=Coalesce("managed_since", now),
            sync=SyncState.PENDING,
            detail="A plan is being applied.",
        )
        entry = record(
            action="brokers.plan.applied",
            subject=Subject(kind="brokers.broker", id=str(broker), label=row.name),
            actor=actor,
            now=now,
            domain=queries.get_broker(id=broker).domain,
            after={"plan": str(plan), "broker": row.name, "steps": len(shown.steps), "accepted_deviations": accepted},
        )
    return entry.id


def render_broker(*, broker: BrokerId, now: datetime) -> Rendering:
    """What the broker should hold now, and how that deviates from the policy; nobody is contacted."""
    link = queries.link_to(broker=broker)
    return adapter_for(link).render(desired_state(domain=link.broker.domain, broker=broker, now=now))
