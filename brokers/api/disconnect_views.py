"""/api/v1/devices/<id>/disconnect/, and the same of applications: who may suspend one may end its sessions."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.serializers import OperationReference
from brokers.api.views import seen
from devices.core.values import Device, DeviceId
from devices.queries import get_application, get_device
from kernel.api.documents import NoteDocument, body_of, caller_of
from kernel.core.clock import utc_now


class DisconnectDocument(NoteDocument):
    """At which broker, and why."""

    broker = serializers.SlugField(max_length=63, help_text="Its name.")


class DeviceDisconnectView(APIView):
    """The end of a device's sessions at a broker."""

    scopes = {"POST": "devices:write"}

    @extend_schema(operation_id="disconnectDevice", request=DisconnectDocument, responses={202: OperationReference})
    def post(self, request: Request, device: UUID) -> Response:
        """The operation that ends them. The device may come back at once: suspend it to keep it out."""
        return _order(request, get_device(device=DeviceId(device), domains=caller_of(request).domain_ids))


class ApplicationDisconnectView(APIView):
    """The end of an application's sessions at a broker."""

    scopes = {"POST": "certificates:revoke"}

    @extend_schema(
        operation_id="disconnectBrokerApplication", request=DisconnectDocument, responses={202: OperationReference}
    )
    def post(self, request: Request, application: UUID) -> Response:
        """The operation that ends them. The application may come back at once: suspend it to keep it out."""
        domains = caller_of(request).domain_ids
        return _order(request, get_application(application=DeviceId(application), domains=domains))


def _order(request: Request, device: Device) -> Response:
    body = body_of(DisconnectDocument, request)
    operation = services.order_disconnect(
        broker=seen(request, body["broker"]).id,
        device=device.id,
        actor=caller_of(request).actor,
        now=utc_now(),
        note=body["note"],
    )
    return Response({"operation": str(operation)}, status=202)
