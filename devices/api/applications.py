"""/api/v1/broker-applications/: programs that connect to brokers. They are principals, as devices are, without a type.

Throwing one out needs the right to revoke; letting one in needs `broker-applications:write`.
"""

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
    OperationDocument,
    PermissionDocument,
    application_document,
    credential_documents,
    enrolment_document,
    permission_documents,
)
from devices.api.enrolment import EnrolmentDocument
from devices.api.principals import CredentialDocument, RevokeDocument, StateChange, change_state, page_of, revoke
from devices.core.values import Device, DeviceId, DeviceState, PrincipalKind
from kernel.api.documents import NoteDocument, StrictDocument, body_of, caller_of
from kernel.core.clock import utc_now


class NewApplicationDocument(StrictDocument):
    """An application to be registered; its name is its auth id and its client id."""

    domain = serializers.CharField(required=False)
    name = serializers.CharField(trim_whitespace=False, max_length=512)


class CertifyDocument(StrictDocument):
    """A PKCS#10 request, PEM, for the key that the application keeps to itself."""

    csr = serializers.CharField(max_length=65_536, trim_whitespace=False)


class BrokerApplicationDocument(serializers.Serializer[Any]):
    """An application that connects to brokers."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    name = serializers.CharField()
    auth_id = serializers.CharField()
    client_id = serializers.CharField()
    state = serializers.CharField()
    groups = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    certified_at = serializers.DateTimeField(allow_null=True)


class BrokerApplicationListDocument(serializers.Serializer[Any]):
    """A page of them."""

    results = BrokerApplicationDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class ApplicationListView(APIView):
    """The applications that the caller may see."""

    scopes = {"GET": "broker-applications:read", "POST": "broker-applications:write"}

    @extend_schema(
        operation_id="listBrokerApplications",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its applications only."),
            OpenApiParameter(name="state", enum=[*DeviceState], description="Applications in this state only."),
            OpenApiParameter(name="group", description="Members of this group only."),
            OpenApiParameter(name="name", description="Applications whose name begins so."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=BrokerApplicationListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of applications by name."""
        return page_of(request, PrincipalKind.APPLICATION, application_document)

    @extend_schema(
        operation_id="registerBrokerApplication",
        request=NewApplicationDocument,
        responses={201: BrokerApplicationDocument},
    )
    def post(self, request: Request) -> Response:
        """The new application. It may connect once it has a certificate."""
        caller = caller_of(request)
        body = body_of(NewApplicationDocument, request)
        made = services.register_application(
            domain=caller.domain(body.get("domain")), name=body["name"], actor=caller.actor, now=utc_now()
        )
        return Response(application_document(made), status=201)


class ApplicationView(APIView):
    """One application."""

    scopes = {"GET": "broker-applications:read"}

    @extend_schema(operation_id="getBrokerApplication", responses=BrokerApplicationDocument)
    def get(self, request: Request, application: UUID) -> Response:
        """The application."""
        return Response(application_document(_seen(request, application)))


class ApplicationPermissionsView(APIView):
    """What one application may do."""

    scopes = {"GET": "broker-applications:read"}

    @extend_schema(operation_id="listBrokerApplicationPermissions", responses=PermissionDocument(many=True))
    def get(self, request: Request, application: UUID) -> Response:
        """The rules in force, substituted."""
        return Response({"results": permission_documents(_seen(request, application))})


class ApplicationCredentialsView(APIView):
    """What proves one application."""

    scopes = {"GET": "broker-applications:read", "POST": "broker-applications:write"}

    @extend_schema(operation_id="listBrokerApplicationCredentials", responses=CredentialDocument(many=True))
    def get(self, request: Request, application: UUID) -> Response:
        """The credentials, the newest first."""
        return Response({"results": credential_documents(_seen(request, application))})

    @extend_schema(operation_id="certifyBrokerApplication", request=CertifyDocument, responses={201: EnrolmentDocument})
    def post(self, request: Request, application: UUID) -> Response:
        """The application's certificate, chain, trust bundle and brokers, as a device gets them when it enrols."""
        seen = _seen(request, application)
        body = body_of(CertifyDocument, request)
        made = services.certify_application(
            application=seen.id, csr=body["csr"], actor=caller_of(request).actor, now=utc_now()
        )
        return Response(enrolment_document(made), status=201, headers={"Cache-Control": "no-store"})


class ApplicationStateView(APIView):
    """A change of one application's state; `change` is the use case."""

    scopes = {"POST": "certificates:revoke"}
    change: StateChange = services.suspend_device

    @extend_schema(request=NoteDocument, responses={202: OperationDocument})
    def post(self, request: Request, application: UUID) -> Response:
        """The operation that carries it out."""
        return change_state(request, _seen(request, application), type(self).change)


@extend_schema_view(post=extend_schema(operation_id="suspendBrokerApplication"))
class ApplicationSuspendView(ApplicationStateView):
    """Refuses the application until it is resumed."""

    change = staticmethod(services.suspend_device)


@extend_schema_view(post=extend_schema(operation_id="resumeBrokerApplication"))
class ApplicationResumeView(ApplicationStateView):
    """Gives a suspended or quarantined application its policy back."""

    scopes = {"POST": "broker-applications:write"}
    change = staticmethod(services.resume_device)


@extend_schema_view(post=extend_schema(operation_id="quarantineBrokerApplication"))
class ApplicationQuarantineView(ApplicationStateView):
    """Leaves the application the quarantine role alone."""

    change = staticmethod(services.quarantine_device)


@extend_schema_view(post=extend_schema(operation_id="endBrokerApplicationTokens"))
class ApplicationEndTokensView(ApplicationStateView):
    """Ends every access token that the application was given, and its sessions."""

    change = staticmethod(services.end_tokens)


@extend_schema_view(post=extend_schema(operation_id="decommissionBrokerApplication"))
class ApplicationDecommissionView(ApplicationStateView):
    """Ends the application."""

    change = staticmethod(services.decommission_device)


class ApplicationRevokeView(APIView):
    """Throws the application out for good."""

    scopes = {"POST": "certificates:revoke"}

    @extend_schema(operation_id="revokeBrokerApplication", request=RevokeDocument, responses={202: OperationDocument})
    def post(self, request: Request, application: UUID) -> Response:
        """The operation that carries it out."""
        return revoke(request, _seen(request, application))


def _seen(request: Request, application: UUID) -> Device:
    return queries.get_application(application=DeviceId(application), domains=caller_of(request).domain_ids)
