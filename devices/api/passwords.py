"""Passwords of one device or application: /api/v1/devices/<id>/passwords/ and the same of broker-applications.

Giving one to an application lets it in, and taking one away throws it out, each with the scope that this takes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import queries, services
from devices.api.documents import OperationDocument
from devices.core.passwords import LONGEST_OVERLAP, OVERLAP, Password, PasswordId
from devices.core.values import CredentialState, Device, DeviceId
from devices.services import IssuedPassword
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import to_rfc3339, utc_now


class RotateDocument(StrictDocument):
    """For how many seconds the present password stays good beside the new one."""

    overlap = serializers.IntegerField(
        min_value=0, max_value=int(LONGEST_OVERLAP.total_seconds()), default=int(OVERLAP.total_seconds())
    )


class PasswordDocument(serializers.Serializer[Any]):
    """A password, without the password. `digest` names it in the journal and proves nothing.

    `last_used_at`: to the hour, as far as Gatehouse itself was asked; brokers that keep passwords do not tell.
    """

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=[*CredentialState])
    digest = serializers.CharField()
    created_at = serializers.DateTimeField()
    not_after = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class IssuedPasswordDocument(PasswordDocument):
    """A fresh password, shown this once, and the operation that brings it to the brokers."""

    password = serializers.CharField()
    operation = serializers.UUIDField()


def seen_device(request: Request, id: UUID) -> Device:
    """The device, in a domain of the caller. Raises UnknownDevice."""
    return queries.get_device(device=DeviceId(id), domains=caller_of(request).domain_ids)


def seen_application(request: Request, id: UUID) -> Device:
    """The application, in a domain of the caller. Raises UnknownApplication."""
    return queries.get_application(application=DeviceId(id), domains=caller_of(request).domain_ids)


class PasswordView(APIView):
    """What these views have in common: `find` gives the principal of the address."""

    find: Callable[[Request, UUID], Device]

    def found(self, request: Request, given: dict[str, UUID]) -> Device:
        """The device or application that the address names."""
        [id] = given.values()
        return self.find(request, id)


class DevicePasswordsView(PasswordView):
    """The passwords of a device."""

    scopes = {"GET": "devices:read", "POST": "credentials:write"}
    find = staticmethod(seen_device)

    @extend_schema(operation_id="listDevicePasswords", responses=PasswordDocument(many=True))
    def get(self, request: Request, **given: UUID) -> Response:
        """Those that there are and were, the newest first; at most 50."""
        return Response({"results": _documents(self.found(request, given))})

    @extend_schema(operation_id="issueDevicePassword", request=None, responses={201: IssuedPasswordDocument})
    def post(self, request: Request, **given: UUID) -> Response:
        """A password for one that has none that is good; it is shown this once."""
        made = services.issue_password(
            device=self.found(request, given).id, actor=caller_of(request).actor, now=utc_now()
        )
        return _issued(made)


class RotateDevicePasswordView(PasswordView):
    """One password follows another."""

    scopes = {"POST": "credentials:write"}
    find = staticmethod(seen_device)

    @extend_schema(operation_id="rotateDevicePassword", request=RotateDocument, responses={201: IssuedPasswordDocument})
    def post(self, request: Request, **given: UUID) -> Response:
        """The password that follows the present one; it is shown this once."""
        seen = self.found(request, given)
        made = services.rotate_password(
            device=seen.id,
            overlap=timedelta(seconds=body_of(RotateDocument, request)["overlap"]),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _issued(made)


class SwitchDevicePasswordView(PasswordView):
    """The one that waits becomes the one that brokers keep."""

    scopes = {"POST": "credentials:write"}
    find = staticmethod(seen_device)

    @extend_schema(operation_id="switchDevicePassword", request=None, responses={202: OperationDocument})
    def post(self, request: Request, **given: UUID) -> Response:
        """The operation that brings it to brokers with room for one."""
        seen = self.found(request, given)
        operation = services.switch_password(device=seen.id, actor=caller_of(request).actor, now=utc_now())
        return Response({"operation": str(operation)}, status=202)


class RevokeDevicePasswordView(PasswordView):
    """A password ends."""

    scopes = {"POST": "credentials:write"}
    find = staticmethod(seen_device)

    @extend_schema(operation_id="revokeDevicePassword", request=None, responses={202: OperationDocument, 204: None})
    def post(self, request: Request, password: UUID, **given: UUID) -> Response:
        """The operation that takes it off the brokers and ends sessions; nothing if it had ended already."""
        seen = self.found(request, given)
        operation = services.revoke_password(
            device=seen.id, password=PasswordId(password), actor=caller_of(request).actor, now=utc_now()
        )
        return Response({"operation": str(operation)}, status=202) if operation else Response(status=204)


@extend_schema_view(
    get=extend_schema(operation_id="listBrokerApplicationPasswords"),
    post=extend_schema(operation_id="issueBrokerApplicationPassword"),
)
class ApplicationPasswordsView(DevicePasswordsView):
    """The passwords of an application."""

    scopes = {"GET": "broker-applications:read", "POST": "broker-applications:write"}
    find = staticmethod(seen_application)


@extend_schema_view(post=extend_schema(operation_id="rotateBrokerApplicationPassword"))
class RotateApplicationPasswordView(RotateDevicePasswordView):
    """One password follows another."""

    scopes = {"POST": "broker-applications:write"}
    find = staticmethod(seen_application)


@extend_schema_view(post=extend_schema(operation_id="switchBrokerApplicationPassword"))
class SwitchApplicationPasswordView(SwitchDevicePasswordView):
    """The one that waits becomes the one that brokers keep."""

    scopes = {"POST": "broker-applications:write"}
    find = staticmethod(seen_application)


@extend_schema_view(post=extend_schema(operation_id="revokeBrokerApplicationPassword"))
class RevokeApplicationPasswordView(RevokeDevicePasswordView):
    """A password ends."""

    scopes = {"POST": "certificates:revoke"}
    find = staticmethod(seen_application)


def _documents(device: Device) -> list[dict[str, Any]]:
    now = utc_now()
    return [_document(each, each.state_at(now)) for each in queries.passwords_of(device=device.id)]


def _document(password: Password, state: CredentialState) -> dict[str, Any]:
    return {
        "id": str(password.id),
        "state": state.value,
        "digest": password.verifier.digest,
        "created_at": to_rfc3339(password.created_at),
        "not_after": to_rfc3339(password.not_after) if password.not_after else None,
        "last_used_at": to_rfc3339(password.last_used_at) if password.last_used_at else None,
    }


def _issued(made: IssuedPassword) -> Response:
    document = _document(made.password, made.password.state)
    shown = {**document, "password": made.text, "operation": str(made.operation)}
    return Response(shown, status=201, headers={"Cache-Control": "no-store"})
