"""/api/v1/policy-changes/<id>/effect/: what a change of policy would do to the fleet and on its brokers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.serializers import DeviationDocument, EffectDocument, deviation_document
from brokers.core.foresight import ForeseenBroker, ForeseenCohort, Foresight
from brokers.core.plans import effect_rows
from devices.core.policy_changes import PolicyChangeId
from devices.queries.policy_changes import get_change
from kernel.api.documents import caller_of
from kernel.core.clock import to_rfc3339, utc_now


class ForeseenFilterDocument(serializers.Serializer[Any]):
    """A topic-filter template; `conditions` says in words when, empty for always."""

    action = serializers.CharField()
    filter = serializers.CharField()
    conditions = serializers.CharField(allow_blank=True)


class ForeseenCohortDocument(serializers.Serializer[Any]):
    """Devices with the same roles before and the same after: `count` of them, `devices` some of their auth ids."""

    roles_before = serializers.ListField(child=serializers.CharField())
    roles_after = serializers.ListField(child=serializers.CharField())
    count = serializers.IntegerField()
    devices = serializers.ListField(child=serializers.CharField())
    gained = ForeseenFilterDocument(many=True)
    lost = ForeseenFilterDocument(many=True)
    bounded = serializers.BooleanField()
    at = serializers.DateTimeField(allow_null=True, help_text="null: as soon as it is applied")


class ForeseenBrokerDocument(serializers.Serializer[Any]):
    """What a broker would make of it; `fresh` and `blocked` are ids of deviations."""

    name = serializers.CharField()
    managed = serializers.BooleanField()
    tells = serializers.BooleanField()
    deviations = DeviationDocument(many=True)
    fresh = serializers.ListField(child=serializers.CharField())
    blocked = serializers.ListField(child=serializers.CharField())
    effect = EffectDocument()


class ForesightDocument(serializers.Serializer[Any]):
    """What a change would do to the `examined` of `concerned` devices; `touched` of them gain or lose something."""

    concerned = serializers.IntegerField(help_text="Those that the change could touch, counted up to 10,000.")
    examined = serializers.IntegerField()
    touched = serializers.IntegerField()
    cohorts = ForeseenCohortDocument(many=True)
    more_cohorts = serializers.IntegerField()
    brokers = ForeseenBrokerDocument(many=True)


class ForesightView(APIView):
    """What a change would do."""

    scopes = {"GET": "policy:read"}

    @extend_schema(operation_id="foreseePolicyChange", responses=ForesightDocument)
    def get(self, request: Request, policy_change: UUID) -> Response:
        """Who gains and who loses which filters, and what each broker makes of it; nobody is contacted."""
        change = get_change(change=PolicyChangeId(policy_change), domains=caller_of(request).domain_ids)
        found = services.foresee_change(domain=change.domain, before=change.base, after=change.document, now=utc_now())
        return Response(foresight_document(found))


def foresight_document(found: Foresight) -> dict[str, Any]:
    """The foresight as JSON."""
    return {
        "concerned": found.concerned,
        "examined": found.examined,
        "touched": found.touched,
        "cohorts": [_cohort(cohort) for cohort in found.cohorts],
        "more_cohorts": found.more_cohorts,
        "brokers": [_broker(broker) for broker in found.brokers],
    }


def _cohort(cohort: ForeseenCohort) -> dict[str, Any]:
    return {
        "roles_before": list(cohort.roles_before),
        "roles_after": list(cohort.roles_after),
        "count": cohort.count,
        "devices": list(cohort.devices),
        "gained": [asdict(line) for line in cohort.gained],
        "lost": [asdict(line) for line in cohort.lost],
        "bounded": cohort.bounded,
        "at": to_rfc3339(cohort.at) if cohort.at else None,
    }


def _broker(broker: ForeseenBroker) -> dict[str, Any]:
    return {
        "name": broker.name,
        "managed": broker.managed,
        "tells": broker.tells,
        "deviations": [deviation_document(deviation) for deviation in broker.deviations],
        "fresh": sorted(broker.fresh),
        "blocked": sorted(broker.blocked),
        "effect": {
            "gain": effect_rows(broker.effect.gain),
            "lose": effect_rows(broker.effect.lose),
            "bounded": broker.effect.bounded,
        },
    }
