"""/api/v1/brokers/<name>/probe/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.serializers import OperationReference
from brokers.api.views import seen
from brokers.core.listeners.probe import Aspect, Verdict, report_document
from kernel.api.documents import caller_of
from kernel.core.clock import to_rfc3339, utc_now


class ProbeLineDocument(serializers.Serializer[Any]):
    """One aspect of a listener."""

    aspect = serializers.ChoiceField(choices=[*Aspect])
    verdict = serializers.ChoiceField(choices=[*Verdict])
    seen = serializers.CharField()
    remedy = serializers.CharField(help_text="Empty if there is nothing to do.")


class ListenerReportDocument(serializers.Serializer[Any]):
    """What was seen of one listener; of the port by which the broker is managed, if the transport is http or https."""

    host = serializers.CharField()
    port = serializers.IntegerField()
    transport = serializers.CharField()
    lines = ProbeLineDocument(many=True)


class ProbeDocument(serializers.Serializer[Any]):
    """What was seen from outside, and when; null and empty if nobody looked yet. `under_way` is an operation."""

    at = serializers.DateTimeField(allow_null=True)
    under_way = serializers.UUIDField(allow_null=True)
    listeners = ListenerReportDocument(many=True)


class ProbeView(APIView):
    """A look at a broker's listeners from outside."""

    scopes = {"GET": "brokers:read", "POST": "brokers:write"}

    @extend_schema(operation_id="getLastProbe", responses=ProbeDocument)
    def get(self, request: Request, name: str) -> Response:
        """What the last one saw, and the one that is under way."""
        broker = seen(request, name)
        probe, under_way = services.last_probe_of(broker=broker), services.probe_under_way(broker=broker.id)
        return Response(
            {
                "at": to_rfc3339(probe.at) if probe else None,
                "under_way": str(under_way) if under_way else None,
                "listeners": [report_document(report) for report in probe.reports] if probe else [],
            }
        )

    @extend_schema(operation_id="probeListeners", request=None, responses={202: OperationReference})
    def post(self, request: Request, name: str) -> Response:
        """The operation that looks; it takes half a minute at most.

        Only the registered listeners are contacted, and the registered port by which the broker is managed.
        """
        broker, actor = seen(request, name), caller_of(request).actor
        operation = services.order_probe(broker=broker.id, actor=actor, now=utc_now())
        return Response({"operation": str(operation)}, status=202)
