"""/api/v1/devices/<id>/connection-kit/, and the same of an application that connects to brokers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import queries
from devices.api.documents import PermissionDocument, permission_document
from devices.core.connection_kit import ConnectionKit, archive
from devices.core.connection_snippets import TRUST
from devices.core.values import Device, DeviceId
from kernel.api.documents import caller_of
from kernel.core.clock import utc_now
from kernel.core.errors import FieldError, Invalid

_AS = OpenApiParameter(name="as", enum=["zip"], description="As an archive of all files and programs.")


class UnknownForm(Invalid):
    """The kit is not given in that form."""

    code = "unknown-form"


class KitFileDocument(serializers.Serializer[Any]):
    """A file that the programs read; `content` is null where only the device has it."""

    name = serializers.CharField()
    what = serializers.CharField()
    content = serializers.CharField(allow_null=True)


class SnippetDocument(serializers.Serializer[Any]):
    """A program that publishes once as the device."""

    language = serializers.CharField()
    file = serializers.CharField()
    text = serializers.CharField()


class KitBrokerDocument(serializers.Serializer[Any]):
    """A listener that the device may connect to; its certificate names `tls_name`."""

    name = serializers.CharField()
    host = serializers.CharField()
    port = serializers.IntegerField()
    tls_name = serializers.CharField()
    transport = serializers.CharField()
    protocol_versions = serializers.ListField(child=serializers.CharField())
    snippets = SnippetDocument(many=True)


class KitDocument(serializers.Serializer[Any]):
    """What brings somebody to the brokers; never its key or password."""

    client_id = serializers.CharField()
    username = serializers.CharField()
    proof = serializers.ChoiceField(choices=["certificate", "password"])
    trust_bundle = serializers.CharField()
    files = KitFileDocument(many=True)
    brokers = KitBrokerDocument(many=True)
    permissions = PermissionDocument(many=True)


class ConnectionKitDocument(KitDocument):
    """The kit of a device."""

    device = serializers.UUIDField()


class ApplicationKitDocument(KitDocument):
    """The kit of an application."""

    application = serializers.UUIDField()


class InAnyCase(DefaultContentNegotiation):
    """The first form whatever is accepted: whoever takes nothing but `application/zip` gets that by `as`."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        del request, format_suffix
        first = next(iter(renderers))
        return first, str(first.media_type)


class ConnectionKitView(APIView):
    """The kit of one device."""

    scopes = {"GET": "devices:read"}
    content_negotiation_class = InAnyCase

    @extend_schema(
        operation_id="getDeviceConnectionKit",
        parameters=[_AS],
        responses={(200, "application/json"): ConnectionKitDocument, (200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, device: UUID) -> Response | HttpResponse:
        """The kit as it is now. There are no brokers in it while the device may not connect."""
        return _answer(request, queries.get_device(device=DeviceId(device), domains=caller_of(request).domain_ids))


class ApplicationConnectionKitView(APIView):
    """The kit of one application."""

    scopes = {"GET": "broker-applications:read"}
    content_negotiation_class = InAnyCase

    @extend_schema(
        operation_id="getBrokerApplicationConnectionKit",
        parameters=[_AS],
        responses={(200, "application/json"): ApplicationKitDocument, (200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, application: UUID) -> Response | HttpResponse:
        """The kit as it is now. There are no brokers in it while the application may not connect."""
        domains = caller_of(request).domain_ids
        return _answer(request, queries.get_application(application=DeviceId(application), domains=domains))


def _answer(request: Request, principal: Device) -> Response | HttpResponse:
    """The principal's kit in the form that is asked for. Raises UnknownForm."""
    form = request.query_params.get("as", "json")
    if form not in {"json", "zip"}:
        fault = FieldError(pointer="as", code="unknown-form", detail="Leave it out for JSON, or say zip.")
        raise UnknownForm("There is no such form of a kit.", errors=(fault,))
    kit = queries.connection_kit_of(device=principal.id, now=utc_now())
    if form == "json":
        return Response(_document(kit))
    headers = {"Content-Disposition": 'attachment; filename="connection-kit.zip"'}
    return HttpResponse(archive(kit), content_type="application/zip", headers=headers)


def _document(kit: ConnectionKit) -> dict[str, Any]:
    return {
        kit.device.kind.value: str(kit.device.id),
        "client_id": kit.device.client_id,
        "username": kit.device.auth_id,
        "proof": "password" if kit.by_password else "certificate",
        "trust_bundle": next(file.content for file in kit.files if file.name == TRUST),
        "files": [{"name": file.name, "what": file.what, "content": file.content} for file in kit.files],
        "brokers": [
            {
                "name": broker.endpoint.name,
                "host": broker.endpoint.host,
                "port": broker.endpoint.port,
                "tls_name": broker.endpoint.host,
                "transport": broker.endpoint.transport,
                "protocol_versions": list(broker.endpoint.protocol_versions),
                "snippets": [
                    {"language": each.language, "file": each.file, "text": each.text} for each in broker.snippets
                ],
            }
            for broker in kit.brokers
        ],
        "permissions": [permission_document(rule) for rule in kit.permissions],
    }
