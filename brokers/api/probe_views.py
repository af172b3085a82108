"""/api/v1/brokers/<name>/probe/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.views import seen
from brokers.core.listener_probe import Aspect, Verdict, report_document
from brokers.services.probing import Probe
from kernel.core.clock import to_rfc3339, utc_now


class ProbeLineDocument(serializers.Serializer[Any]):
    """One aspect of a listener."""

    aspect = serializers.ChoiceField(choices=[*Aspect])
    verdict = serializers.ChoiceField(choices=[*Verdict])
    seen = serializers.CharField()
    remedy = serializers.CharField(help_text="Empty if there is nothing to do.")


class ListenerReportDocument(serializers.Serializer[Any]):
    """What was seen of one listener."""

    host = serializers.CharField()
    port = serializers.IntegerField()
    transport = serializers.CharField()
    lines = ProbeLineDocument(many=True)


class ProbeDocument(serializers.Serializer[Any]):
    """What was seen from outside, and when; null and empty if nobody looked yet."""

    at = serializers.DateTimeField(allow_null=True)
    listeners = ListenerReportDocument(many=True)


class ProbeView(APIView):
    """A look at a broker's listeners from outside."""

    scopes = {"GET": "brokers:read", "POST": "brokers:write"}

    @extend_schema(operation_id="getLastProbe", responses=ProbeDocument)
    def get(self, request: Request, name: str) -> Response:
        """What the last one saw."""
        return Response(_document(services.last_probe_of(broker=seen(request, name))))

    @extend_schema(operation_id="probeListeners", request=None, responses=ProbeDocument)
    def post(self, request: Request, name: str) -> Response:
        """What is seen now; it takes a minute at most. Only the registered listeners are contacted."""
        return Response(_document(services.probe_listeners(broker=seen(request, name).id, now=utc_now())))


def _document(probe: Probe | None) -> dict[str, Any]:
    if probe is None:
        return {"at": None, "listeners": []}
    return {"at": to_rfc3339(probe.at), "listeners": [report_document(report) for report in probe.reports]}
