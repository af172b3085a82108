"""/api/v1/devices/"""

from __future__ import annotations

from collections.abc import Callable
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
    NoteDocument,
    OperationDocument,
    PermissionDocument,
    credential_documents,
    device_document,
    permission_documents,
)
from devices.core.names import BadName, check_name
from devices.core.tags import device_tag
from devices.core.values import Device, DeviceId, DeviceState
from devices.queries import DeviceFilter, Place
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.api.if_match import expected_digest, tag_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.cursor import WrongCursor
from kernel.core.errors import Invalid
from kernel.core.ids import EntryId
from kernel.core.pages import limit_of, page
from pki.core.values import ReasonCode


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


class RevokeDocument(StrictDocument):
    """Why the device is thrown out: a reason of RFC 5280 5.3.1."""

    reason = serializers.ChoiceField(
        choices=[each.value for each in ReasonCode if each.number not in {6, 8}], default=ReasonCode.UNSPECIFIED.value
    )
    note = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class CredentialDocument(serializers.Serializer[Any]):
    """A certificate that proves a device."""

    id = serializers.UUIDField()
    state = serializers.CharField()
    serial_number = serializers.CharField()
    issuer = serializers.CharField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()


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
        caller = caller_of(request)
        asked = request.query_params
        wanted = asked.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        narrowed = device_filter(asked)
        limit = limit_of(asked)
        found = queries.list_devices(
            domains=domains, narrowed=narrowed, after=list_place(asked.get("cursor")), limit=limit
        )
        last = found.devices[-1] if found.has_more else None
        return Response(
            page(
                [device_document(device) for device in found.devices],
                next_cursor=cursor.encode([last.name, str(last.id)]) if last else None,
                approximate_count=queries.count_devices(domains=domains, narrowed=narrowed),
            )
        )

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
        parameters=[
            OpenApiParameter(name="If-Match", location="header", description="The ETag of the device as it was read.")
        ],
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
    change: Callable[..., EntryId] = services.suspend_device

    @extend_schema(request=NoteDocument, responses={202: OperationDocument})
    def post(self, request: Request, device: UUID) -> Response:
        """The operation that carries it out."""
        seen = _seen(request, device)
        body = body_of(NoteDocument, request)
        operation = type(self).change(device=seen.id, actor=caller_of(request).actor, now=utc_now(), note=body["note"])
        return Response({"operation": str(operation)}, status=202)


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
        seen = _seen(request, device)
        body = body_of(RevokeDocument, request)
        operation = services.revoke_device(
            device=seen.id,
            reason=ReasonCode(body["reason"]),
            note=body["note"],
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return Response({"operation": str(operation)}, status=202)


def _answer(device: Device) -> Response:
    return Response(device_document(device), headers=tag_of(device_tag(device)))


def _seen(request: Request, device: UUID) -> Device:
    return queries.get_device(device=DeviceId(device), domains=caller_of(request).domain_ids)


def device_filter(asked: Any) -> DeviceFilter:
    """What a list is narrowed to by the query of an address. Raises Invalid."""
    attributes = {name.removeprefix("attr."): value for name, value in asked.items() if name.startswith("attr.")}
    state = asked.get("state", "")
    if state and state not in set(DeviceState):
        raise Invalid(f"There is no state {state!r}: the states are {', '.join(DeviceState)}.")
    return DeviceFilter(
        state=state,
        device_type=asked.get("device_type", ""),
        group=asked.get("group", ""),
        name=asked.get("name") or asked.get("q", ""),
        attributes=attributes,
    )


def list_place(text: str | None) -> Place | None:
    """Where a page of a list by name begins. Raises WrongCursor."""
    if not text:
        return None
    try:
        name, device = cursor.decode(text)
        return check_name(name), DeviceId(UUID(device))
    except (ValueError, TypeError, AttributeError, BadName) as error:
        raise WrongCursor("The cursor is none of ours: begin again without one.") from error
