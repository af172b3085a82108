"""Why a device may or may not, and whether each broker will do the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from acl import queries as roles
from acl.core.explanation import Explanation, explain
from acl.core.values import Allow, Principal, Request
from brokers import queries
from brokers.conf import adapter_for
from brokers.core.answers import UNMANAGED, BrokerJudgement, ClosedBinding, DeviceExplanation, deviation_at_work
from brokers.core.ports import DesiredState
from brokers.core.standing import render_subject
from brokers.core.values import Broker
from devices import queries as devices
from devices.core.values import DeviceId, DeviceState, DeviceSubject
from devices.core.windows import WindowState
from devices.queries.rollouts import rollouts_under_way


def explain_request(*, device: DeviceId, request: Request, now: datetime) -> DeviceExplanation:
    """The verdict on the device's request now, every rule that was considered, and each broker's judgement."""
    subject = devices.subject_of(device=device, now=now)
    rollouts = rollouts_under_way(domains=[subject.device.domain])
    explanation = explain(subject.policy, subject.principal, request)
    brokers = queries.list_brokers(domains=[subject.device.domain])
    return DeviceExplanation(
        device=subject.device,
        explanation=explanation,
        reason=_reason(subject, explanation),
        brokers=tuple(_judgements(brokers, subject, request, now if rollouts else None)),
        not_now=tuple(_not_now(device, now)),
        rollout=" ".join(each.sentence for each in rollouts),
    )


def _not_now(device: DeviceId, now: datetime) -> Iterable[ClosedBinding]:
    rows = devices.timed_bindings(device=device)
    closed = [row for row in rows if row.window.state(now) is not WindowState.IN_FORCE]
    names = roles.roles_by_id(ids={row.role for row in closed})
    for row in closed:
        yield ClosedBinding(role=names[row.role].name, via=row.via, target=row.target, window=row.window)


def _reason(subject: DeviceSubject, explanation: Explanation) -> str:
    if isinstance(explanation.verdict, Allow):
        return "allow-rule"
    if subject.device.state not in (DeviceState.ACTIVE, DeviceState.QUARANTINED):
        return f"device-{subject.device.state.value}"
    return explanation.verdict.reason.value


def _judgements(
    brokers: Iterable[Broker], known: DeviceSubject, request: Request, anew: datetime | None
) -> Iterable[BrokerJudgement]:
    """`anew`: the moment at which each broker may have another policy; None if all have that of `known`."""
    principal: Principal = known.principal
    for broker in brokers:
        if broker.managed_since is None:
            yield BrokerJudgement(name=broker.name, enforced_as=UNMANAGED)
            continue
        subject = devices.subject_of(device=known.device.id, broker=broker.id, now=anew) if anew else known
        desired = DesiredState(subjects=(render_subject(subject),), only=frozenset({principal.auth_id}))
        explanation = explain(subject.policy, principal, request)
        wanted = isinstance(explanation.verdict, Allow)
        adapter = adapter_for(queries.link_to(broker=broker.id))
        rendering = adapter.render(desired)
        enforced = adapter.enforces(rendering, principal, request)
        kind, why = deviation_at_work(rendering.deviations, explanation, wanted=wanted, enforced=enforced)
        yield BrokerJudgement(
            name=broker.name,
            enforced_as="allow" if enforced else "deny",
            deviation_kind=kind,
            deviation_why=why,
        )
