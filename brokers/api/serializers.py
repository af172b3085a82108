"""Brokers, plans and answers about policy as JSON. A connection comes in and never goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from acl.core.documents import rule_document
from acl.core.values import Action, BoundRule, Publish, Request, Subscribe
from brokers.core.answers import DeviceExplanation, WhoCan
from brokers.core.outcomes import Comparison
from brokers.core.plans import Plan, PlannedDeviation
from brokers.core.values import AdapterKind, Broker, Listener, OnDrift, Session, SyncState, Transport
from devices.core.values import PrincipalKind
from kernel.api.documents import StrictDocument


class ListenerDocument(StrictDocument):
    """Where devices connect."""

    host = serializers.CharField(max_length=255)
    port = serializers.IntegerField(min_value=1, max_value=65_535)
    transport = serializers.ChoiceField(choices=[*Transport], default=Transport.MQTTS)


class NewBrokerDocument(StrictDocument):
    """A broker to be registered. `domain` is needed only where the caller may act in several."""

    domain = serializers.CharField(required=False)
    name = serializers.CharField(max_length=63)
    kind = serializers.ChoiceField(choices=[*AdapterKind])
    connection = serializers.DictField(write_only=True)
    listeners = ListenerDocument(many=True, default=list)


class ChangedBrokerDocument(StrictDocument):
    """What is to be otherwise of a broker; members that are left out stay. Its kind and domain do."""

    name = serializers.CharField(max_length=63, required=False)
    connection = serializers.DictField(
        write_only=True,
        required=False,
        help_text="The members to change; null takes one out. Secrets that are left out stay, unless host, port or "
        "ca_pem changes beside them.",
    )
    listeners = ListenerDocument(many=True, required=False)


class UnknownAccountsDocument(serializers.Serializer[Any]):
    """Accounts that neither Gatehouse made nor anybody acknowledged, when it was last read; `names` of some."""

    count = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField())


class BrokerDocument(serializers.Serializer[Any]):
    """A broker. `managed_since` is null until a plan was applied to it."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=[*AdapterKind])
    listeners = ListenerDocument(many=True)
    sync = serializers.ChoiceField(choices=[*SyncState])
    detail = serializers.CharField(allow_blank=True)
    version = serializers.CharField(allow_blank=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    last_seen_at = serializers.DateTimeField(allow_null=True)
    managed_since = serializers.DateTimeField(allow_null=True)
    takes_passwords = serializers.BooleanField(help_text="Whether devices may log in there with their passwords.")
    on_drift = serializers.ChoiceField(choices=[*OnDrift], help_text="What becomes of a change made there by hand.")
    unknown_accounts = UnknownAccountsDocument()
    known_accounts = serializers.ListField(child=serializers.CharField(), help_text="Acknowledged by operators.")
    created_at = serializers.DateTimeField()


class BrokerListDocument(serializers.Serializer[Any]):
    """A page of brokers."""

    results = BrokerDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class StepDocument(serializers.Serializer[Any]):
    """A step of a plan."""

    kind = serializers.CharField()
    target = serializers.CharField()
    summary = serializers.CharField()


class DeviationDocument(serializers.Serializer[Any]):
    """What a broker can not express of a rule. Only those that are `wider` need acceptance, by their id."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=["narrower", "wider", "signalling"])
    rule = serializers.CharField()
    role = serializers.CharField()
    topic = serializers.CharField()
    principals = serializers.ListField(child=serializers.CharField())
    principal_count = serializers.IntegerField()
    why = serializers.CharField()


class EffectLineDocument(serializers.Serializer[Any]):
    """A filter that a device gains or loses."""

    device = serializers.CharField(help_text="auth id")
    action = serializers.ChoiceField(choices=[*Action])
    filter = serializers.CharField()


class EffectDocument(serializers.Serializer[Any]):
    """Who gains and who loses what. `bounded`: there is more than is listed."""

    gain = EffectLineDocument(many=True)
    lose = EffectLineDocument(many=True)
    bounded = serializers.BooleanField()


class PlanDocument(serializers.Serializer[Any]):
    """What applying the policy would do."""

    plan = serializers.UUIDField()
    steps = StepDocument(many=True)
    deviations = DeviationDocument(many=True)
    effect = EffectDocument()
    warnings = serializers.ListField(child=serializers.CharField())
    in_sync = serializers.BooleanField()


class ApplyDocument(StrictDocument):
    """Which plan to apply, and the ids of the wider deviations that are accepted."""

    plan = serializers.UUIDField()
    accept_deviations = serializers.ListField(child=serializers.CharField(max_length=64), default=list, max_length=1000)


class OperationReference(serializers.Serializer[Any]):
    """The operation to watch."""

    operation = serializers.UUIDField()


class LimitDocument(serializers.Serializer[Any]):
    """What a make of broker never does, whatever the policy says."""

    kind = serializers.ChoiceField(choices=["narrower", "wider", "signalling"])
    why = serializers.CharField()


class RenderingDocument(serializers.Serializer[Any]):
    """What the broker should hold, as text, how that deviates from the policy, and what this make never does."""

    artifact = serializers.CharField()
    deviations = DeviationDocument(many=True)
    limits = LimitDocument(many=True)
    warnings = serializers.ListField(child=serializers.CharField())


class DriftDocument(serializers.Serializer[Any]):
    """How the broker differs from the policy now; at most 200 differences of `count`."""

    sync = serializers.ChoiceField(choices=[*SyncState])
    in_sync = serializers.BooleanField()
    count = serializers.IntegerField()
    differences = serializers.ListField(child=serializers.CharField())
    detail = serializers.CharField(allow_blank=True)


class SessionDocument(serializers.Serializer[Any]):
    """A session that is open, as far as the broker told us."""

    broker = serializers.CharField()
    device = serializers.UUIDField(allow_null=True)
    auth_id = serializers.CharField()
    client_id = serializers.CharField()
    address = serializers.CharField(allow_blank=True)
    connected_at = serializers.DateTimeField()


class SessionListDocument(serializers.Serializer[Any]):
    """A page of sessions."""

    results = SessionDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class QuestionDocument(StrictDocument):
    """May this device, or this application, do that?

    `topic` may be `$share/<group>/<filter>`; `retain` is about publishing only.
    """

    device = serializers.UUIDField(required=False)
    application = serializers.UUIDField(required=False)
    action = serializers.ChoiceField(choices=[*Action])
    topic = serializers.CharField(trim_whitespace=False, max_length=65_535)
    qos = serializers.IntegerField(min_value=0, max_value=2, default=0)
    retain = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuses a question about nobody, and one about two."""
        if ("device" in attrs) == ("application" in attrs):
            raise serializers.ValidationError({"device": "Name a device or an application, one of them."})
        return attrs


class WhoCanDocument(StrictDocument):
    """Who may do that? `domain` narrows the question to one; `retain` is about publishing only."""

    domain = serializers.CharField(required=False)
    action = serializers.ChoiceField(choices=[*Action])
    topic = serializers.CharField(trim_whitespace=False, max_length=65_535)
    qos = serializers.IntegerField(min_value=0, max_value=2, default=0)
    retain = serializers.BooleanField(default=False)


class BindingReference(serializers.Serializer[Any]):
    """How a rule reached a device."""

    id = serializers.UUIDField()
    via = serializers.CharField()
    target = serializers.CharField()


class ConsideredDocument(serializers.Serializer[Any]):
    """A rule that was looked at."""

    rule = serializers.DictField()
    role = serializers.CharField()
    binding = BindingReference(allow_null=True)
    filter = serializers.CharField(allow_null=True)
    matches = serializers.BooleanField()
    why = serializers.CharField()


class JudgementDocument(serializers.Serializer[Any]):
    """What a broker makes of it."""

    name = serializers.CharField()
    enforced_as = serializers.ChoiceField(choices=["allow", "deny", "unmanaged"])
    deviation = serializers.DictField(allow_null=True)


class PrincipalDocument(serializers.Serializer[Any]):
    """Who was judged."""

    kind = serializers.ChoiceField(choices=[*PrincipalKind])
    id = serializers.UUIDField()
    name = serializers.CharField()


class ClosedBindingDocument(serializers.Serializer[Any]):
    """A role that is given for another time, so that its rules were not considered."""

    role = serializers.CharField()
    via = serializers.CharField()
    target = serializers.CharField()
    not_before = serializers.DateTimeField(allow_null=True)
    not_after = serializers.DateTimeField(allow_null=True)


class ExplanationDocument(serializers.Serializer[Any]):
    """A verdict and its reasons."""

    principal = PrincipalDocument()
    verdict = serializers.ChoiceField(choices=["allow", "deny"])
    reason = serializers.CharField()
    summary = serializers.CharField()
    rule = serializers.DictField(allow_null=True)
    binding = BindingReference(allow_null=True)
    considered = ConsideredDocument(many=True)
    brokers = JudgementDocument(many=True)
    not_now = ClosedBindingDocument(many=True)
    rollout = serializers.CharField(allow_blank=True, help_text="On a change that comes in waves, if one does.")


class DeviceSampleDocument(serializers.Serializer[Any]):
    """Devices and applications: how many about, and some of them."""

    approximate_count = serializers.IntegerField()
    sample = serializers.ListField(child=serializers.UUIDField())


class GrantDocument(serializers.Serializer[Any]):
    """A rule that lets devices."""

    role = serializers.CharField()
    rule = serializers.DictField()
    binding = BindingReference(allow_null=True)


class WhoCanAnswerDocument(serializers.Serializer[Any]):
    """Who may. `examined` were judged one by one, `undecided` were too many for that and are counted nowhere.

    `more_grants`: there are rules that let them beyond those listed.
    """

    devices = DeviceSampleDocument()
    applications = serializers.ListField(child=serializers.UUIDField(), help_text="Those in the sample.")
    grants = GrantDocument(many=True)
    examined = serializers.IntegerField()
    undecided = serializers.IntegerField()
    more_grants = serializers.BooleanField()
    rollouts = serializers.ListField(
        child=serializers.CharField(), help_text="On changes that come in waves: the answer is by the policy before."
    )


def listeners_of(documents: list[Mapping[str, Any]]) -> list[Listener]:
    """The listeners that validated documents say."""
    return [Listener(host=d["host"], port=d["port"], transport=Transport(d["transport"])) for d in documents]


def request_of(body: Mapping[str, Any]) -> Request:
    """The request that a validated question is about."""
    if Action(body["action"]) is Action.PUBLISH:
        return Publish(topic=body["topic"], qos=body["qos"], retain=body["retain"])
    return Subscribe.parse(body["topic"], qos=body["qos"])


def broker_document(broker: Broker) -> dict[str, Any]:
    """The broker as JSON."""
    return {
        "id": str(broker.id),
        "domain": broker.domain_slug,
        "name": broker.name,
        "kind": broker.kind.value,
        "listeners": [{"host": x.host, "port": x.port, "transport": x.transport.value} for x in broker.listeners],
        "sync": broker.sync.value,
        "detail": broker.detail,
        "version": broker.version,
        "checked_at": broker.checked_at,
        "last_seen_at": broker.last_seen_at,
        "managed_since": broker.managed_since,
        "takes_passwords": bool(broker.takes_passwords),
        "on_drift": broker.on_drift.value,
        "unknown_accounts": {"count": broker.unknown_account_count, "names": list(broker.unknown_accounts)},
        "known_accounts": list(broker.known_accounts),
        "created_at": broker.created_at,
    }


def deviation_document(deviation: PlannedDeviation) -> dict[str, Any]:
    """The deviation as JSON."""
    return {
        "id": deviation.id,
        "kind": deviation.kind,
        "rule": deviation.rule,
        "role": deviation.role,
        "topic": deviation.topic,
        "principals": list(deviation.principals),
        "principal_count": deviation.principal_count,
        "why": deviation.why,
    }


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON."""
    return {
        "plan": str(plan.id),
        "steps": [{"kind": step.kind, "target": step.target, "summary": step.summary} for step in plan.steps],
        "deviations": list(map(deviation_document, plan.deviations)),
        "effect": {"gain": list(plan.gain), "lose": list(plan.lose), "bounded": plan.effect_bounded},
        "warnings": list(plan.warnings),
        "in_sync": plan.in_sync,
    }


def drift_document(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON."""
    return {
        "sync": found.sync.value,
        "in_sync": not found.count,
        "count": found.count,
        "differences": list(found.differences),
        "detail": found.detail,
    }


def session_document(session: Session) -> dict[str, Any]:
    """The session as JSON."""
    return {
        "broker": session.broker_name,
        "device": str(session.device) if session.device else None,
        "auth_id": session.auth_id,
        "client_id": session.client_id,
        "address": session.address,
        "connected_at": session.connected_at,
    }


def explanation_document(found: DeviceExplanation) -> dict[str, Any]:
    """The explanation as JSON."""
    explanation = found.explanation
    decided = explanation.verdict.rule
    return {
        "principal": {"kind": found.device.kind.value, "id": str(found.device.id), "name": found.device.name},
        "verdict": type(explanation.verdict).__name__.lower(),
        "reason": found.reason,
        "summary": explanation.summary,
        "rule": {**rule_document(decided.rule), "role": decided.role_name} if decided else None,
        "binding": _binding(decided),
        "considered": [
            {
                "rule": rule_document(row.rule.rule),
                "role": row.rule.role_name,
                "binding": _binding(row.rule),
                "filter": row.filter,
                "matches": row.matches,
                "why": row.why,
            }
            for row in explanation.considered
        ],
        "brokers": [
            {
                "name": row.name,
                "enforced_as": row.enforced_as,
                "deviation": {"kind": row.deviation_kind.value, "why": row.deviation_why}
                if row.deviation_kind
                else None,
            }
            for row in found.brokers
        ],
        "not_now": [
            {
                "role": row.role,
                "via": row.via,
                "target": row.target,
                "not_before": None,
                "not_after": None,
                **row.window.as_texts(),
            }
            for row in found.not_now
        ],
        "rollout": found.rollout,
    }


def who_can_document(found: WhoCan) -> dict[str, Any]:
    """The answer as JSON."""
    return {
        "devices": {
            "approximate_count": found.count,
            "sample": [str(device) for device in found.sample],
        },
        "applications": [str(device) for device in found.sample if device in found.applications],
        "grants": [
            {"role": grant.role_name, "rule": rule_document(grant.rule), "binding": _binding(grant)}
            for grant in found.grants
        ],
        "examined": found.examined,
        "undecided": found.undecided,
        "more_grants": found.more_grants,
        "rollouts": list(found.rollouts),
    }


def _binding(rule: BoundRule | None) -> dict[str, str] | None:
    if rule is None or rule.binding is None:
        return None
    return {"id": str(rule.binding.id), "via": rule.binding.via, "target": rule.binding.target}
