"""/api/v1/devices/"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import queries, services
from devices.api.documents import (
    DeviceDocument,
    OperationDocument,
    PermissionDocument,
    credential_documents,
    device_document,
    permission_documents,
)
from devices.api.principals import CredentialDocument, RevokeDocument, StateChange, change_state, page_of, revoke
from devices.core.tags import device_tag
from devices.core.values import Device, DeviceId, DeviceState, PrincipalKind
from kernel.api.documents import NoteDocument, StrictDocument, body_of, caller_of
from kernel.api.if_match import expected_digest, if_match_on, tag_of
from kernel.core.clock import utc_now


class NewDeviceDocument(StrictDocument):
    """A device to be registered ahead of its enrolment."""

    domain = serializers.CharField(required=False)
    name = serializers.CharField(trim_whitespace=False, max_length=512)
    device_type = serializers.CharField(default="default")
    hardware_serial = serializers.CharField(allow_blank=True, default="", max_length=512)
    attributes = serializers.DictField(default=dict)


class ChangedDeviceDocument(StrictDocument):
    """What becomes of a device's attributes: those that are named."""

    attributes = serializers.DictField()


class DeviceListDocument(serializers.Serializer[Any]):
    """A page of devices."""

    results = DeviceDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class DeviceListView(APIView):
    """The devices that the caller may see."""

    scopes = {"GET": "devices:read", "POST": "devices:write"}

    @extend_schema(
        operation_id="listDevices",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its devices only."),
            OpenApiParameter(name="state", enum=[*DeviceState], description="Devices in this state only."),
            OpenApiParameter(name="device_type", description="Devices of this type only."),
            OpenApiParameter(name="group", description="Members of this group only."),
            OpenApiParameter(name="name", description="Devices whose name begins so."),
            OpenApiParameter(name="q", description="The same as name."),
            OpenApiParameter(name="attr.<name>", description="Devices whose attribute has this value."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=DeviceListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of devices by name."""
        return page_of(request, PrincipalKind.DEVICE, device_document)

    @extend_schema(operation_id="registerDevice", request=NewDeviceDocument, responses={201: DeviceDocument})
    def post(self, request: Request) -> Response:
        """The new device, pre-registered."""
        caller = caller_of(request)
        body = body_of(NewDeviceDocument, request)
        domain = caller.domain(body.pop("domain", None))
        device = services.register_device(domain=domain, actor=caller.actor, now=utc_now(), **body)
        return Response(device_document(device), status=201)


class DeviceView(APIView):
    """One device."""

    scopes = {"GET": "devices:read", "PATCH": "devices:write"}

    @extend_schema(operation_id="getDevice", responses=DeviceDocument)
    def get(self, request: Request, device: UUID) -> Response:
        """The device; its ETag changes with anything of it."""
        return _answer(_seen(request, device))

    @extend_schema(
        operation_id="changeDevice",
        parameters=[if_match_on("device")],
        request=ChangedDeviceDocument,
        responses=DeviceDocument,
    )
    def patch(self, request: Request, device: UUID) -> Response:
        """The device as it is now; attributes that are not named stay, null takes one away (RFC 7396)."""
        seen = _seen(request, device)
        body = body_of(ChangedDeviceDocument, request)
        changed = services.change_attributes(
            device=seen.id,
            attributes=body["attributes"],
            expected_tag=expected_digest(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _answer(changed)


class DevicePermissionsView(APIView):
    """What one device may do."""

    scopes = {"GET": "devices:read"}

    @extend_schema(operation_id="listDevicePermissions", responses=PermissionDocument(many=True))
    def get(self, request: Request, device: UUID) -> Response:
        """The rules in force, substituted."""
        return Response({"results": permission_documents(_seen(request, device))})


class DeviceCredentialsView(APIView):
    """What proves one device."""

    scopes = {"GET": "devices:read"}

    @extend_schema(operation_id="listDeviceCredentials", responses=CredentialDocument(many=True))
    def get(self, request: Request, device: UUID) -> Response:
        """The credentials, the newest first."""
        return Response({"results": credential_documents(_seen(request, device))})


class DeviceStateView(APIView):
    """A change of one device's state; `change` is the use case."""

    scopes = {"POST": "devices:write"}
    change: StateChange = services.suspend_device

    @extend_schema(request=NoteDocument, responses={202: OperationDocument})
    def post(self, request: Request, device: UUID) -> Response:
        """The operation that carries it out."""
        return change_state(request, _seen(request, device), type(self).change)


@extend_schema_view(post=extend_schema(operation_id="suspendDevice"))
class SuspendView(DeviceStateView):
    """Refuses the device until it is resumed."""

    change = staticmethod(services.suspend_device)


@extend_schema_view(post=extend_schema(operation_id="resumeDevice"))
class ResumeView(DeviceStateView):
    """Gives a suspended or quarantined device its policy back."""

    change = staticmethod(services.resume_device)


@extend_schema_view(post=extend_schema(operation_id="quarantineDevice"))
class QuarantineView(DeviceStateView):
    """Leaves the device the quarantine role alone."""

    change = staticmethod(services.quarantine_device)


@extend_schema_view(post=extend_schema(operation_id="endDeviceTokens"))
class EndTokensView(DeviceStateView):
    """Ends every access token that the device was given, and its sessions."""

    change = staticmethod(services.end_tokens)


@extend_schema_view(post=extend_schema(operation_id="decommissionDevice"))
class DecommissionView(DeviceStateView):
    """Ends the device."""

    scopes = {"POST": "certificates:revoke"}
    change = staticmethod(services.decommission_device)


class RevokeView(APIView):
    """Throws the device out for good."""

    scopes = {"POST": "certificates:revoke"}

    @extend_schema(operation_id="revokeDevice", request=RevokeDocument, responses={202: OperationDocument})
    def post(self, request: Request, device: UUID) -> Response:
        """The operation that carries it out."""
        return revoke(request, _seen(request, device))


def _answer(device: Device) -> Response:
    return Response(device_document(device), headers=tag_of(device_tag(device)))


def _seen(request: Request, device: UUID) -> Device:
    return queries.get_device(device=DeviceId(device), domains=caller_of(request).domain_ids)
