"""/api/v1/enrolment-profiles/, enrolment-tokens/ and enrolment-requests/: how devices become known."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import queries, services
from devices.conf import base_url
from devices.core.values import EnrolmentRequestId, EnrolmentTokenId
from devices.services.decide_request import UnknownRequest
from devices.services.enrolment_tokens import UnknownToken
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.pages import page


class ProfileDocument(StrictDocument):
    """How devices of a kind become known."""

    id = serializers.UUIDField(read_only=True)
    domain = serializers.CharField(required=False)
    name = serializers.CharField(max_length=64)
    device_type = serializers.CharField(max_length=64, default="default")
    needs_approval = serializers.BooleanField(default=False)


class NewTokenDocument(StrictDocument):
    """A token to be minted. `expires_in` is in seconds; no network means from anywhere."""

    domain = serializers.CharField(required=False)
    profile = serializers.CharField(max_length=64, default="default")
    max_uses = serializers.IntegerField(default=1)
    expires_in = serializers.IntegerField(default=3_600)
    allowed_networks = serializers.ListField(child=serializers.CharField(max_length=64), default=list, max_length=64)


class MintedDocument(serializers.Serializer[Any]):
    """A fresh token, shown this once."""

    id = serializers.UUIDField()
    token = serializers.CharField()
    claim_url = serializers.CharField()
    expires_at = serializers.DateTimeField()


class TokenDocument(serializers.Serializer[Any]):
    """A token without its secret."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    profile = serializers.CharField()
    uses = serializers.IntegerField()
    max_uses = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    allowed_networks = serializers.ListField(child=serializers.CharField())
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class RequestDocument(serializers.Serializer[Any]):
    """A wish to be enrolled, with its evidence; `attributes` are what the device tells of itself."""

    id = serializers.UUIDField()
    domain = serializers.CharField()
    profile = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField()
    hardware_serial = serializers.CharField()
    attributes = serializers.DictField()
    address = serializers.CharField()
    public_key_sha256 = serializers.CharField()
    device = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()


class ProfileListView(APIView):
    """The enrolment profiles that the caller may see."""

    scopes = {"GET": "enrolment-profiles:read", "POST": "enrolment-profiles:write"}

    @extend_schema(operation_id="listEnrolmentProfiles", responses=ProfileDocument(many=True))
    def get(self, request: Request) -> Response:
        """Every one of them."""
        caller = caller_of(request)
        results = [
            {
                "id": str(row.id),
                "domain": caller.slug_of(row.domain),
                "name": row.name,
                "device_type": row.device_type,
                "needs_approval": row.needs_approval,
            }
            for row in queries.list_enrolment_profiles(domains=caller.domain_ids)
        ]
        return Response(page(results, next_cursor=None, approximate_count=len(results)))

    @extend_schema(operation_id="createEnrolmentProfile", request=ProfileDocument, responses={201: ProfileDocument})
    def post(self, request: Request) -> Response:
        """The new profile."""
        caller = caller_of(request)
        body = body_of(ProfileDocument, request)
        domain = caller.domain(body.pop("domain", None))
        made = services.create_enrolment_profile(domain=domain, actor=caller.actor, now=utc_now(), **body)
        return Response({"id": str(made), "domain": caller.slug_of(domain), **body}, status=201)


class TokenListView(APIView):
    """The enrolment tokens that the caller may see."""

    scopes = {"GET": "enrolment-tokens:read", "POST": "enrolment-tokens:write"}

    @extend_schema(operation_id="listEnrolmentTokens", responses=TokenDocument(many=True))
    def get(self, request: Request) -> Response:
        """Every one of them, without its secret."""
        caller = caller_of(request)
        results = [
            {
                "id": str(row.id),
                "domain": caller.slug_of(row.domain),
                "profile": row.profile,
                "uses": row.uses,
                "max_uses": row.max_uses,
                "created_at": to_rfc3339(row.created_at),
                "expires_at": to_rfc3339(row.expires_at),
                "allowed_networks": list(row.allowed_networks),
                "last_used_at": to_rfc3339(row.last_used_at) if row.last_used_at else None,
                "revoked_at": to_rfc3339(row.revoked_at) if row.revoked_at else None,
            }
            for row in queries.list_enrolment_tokens(domains=caller.domain_ids)
        ]
        return Response(page(results, next_cursor=None, approximate_count=len(results)))

    @extend_schema(operation_id="mintEnrolmentToken", request=NewTokenDocument, responses={201: MintedDocument})
    def post(self, request: Request) -> Response:
        """The fresh token; its text is shown this once."""
        caller = caller_of(request)
        body = body_of(NewTokenDocument, request)
        minted = services.mint_enrolment_token(
            domain=caller.domain(body.get("domain")),
            profile=body["profile"],
            max_uses=body["max_uses"],
            expires_in_seconds=body["expires_in"],
            allowed_networks=body["allowed_networks"],
            actor=caller.actor,
            now=utc_now(),
        )
        document = {
            "id": str(minted.id),
            "token": minted.token,
            "claim_url": f"{base_url()}/api/v1/enroll/",
            "expires_at": to_rfc3339(minted.expires_at),
        }
        return Response(document, status=201, headers={"Cache-Control": "no-store"})


class TokenView(APIView):
    """One enrolment token."""

    scopes = {"DELETE": "enrolment-tokens:write"}

    @extend_schema(operation_id="revokeEnrolmentToken", responses={204: None})
    def delete(self, request: Request, token: UUID) -> Response:
        """Nothing; the token is refused from now on."""
        caller = caller_of(request)
        if not queries.enrolment_token_exists(token=EnrolmentTokenId(token), domains=caller.domain_ids):
            raise UnknownToken("There is no such enrolment token.")
        services.revoke_enrolment_token(token=EnrolmentTokenId(token), actor=caller.actor, now=utc_now())
        return Response(status=204)


class RequestListView(APIView):
    """The enrolment requests that the caller may see."""

    scopes = {"GET": "enrolment-requests:read"}

    @extend_schema(
        operation_id="listEnrolmentRequests",
        parameters=[OpenApiParameter(name="state", description="pending, approved, denied or issued")],
        responses=RequestDocument(many=True),
    )
    def get(self, request: Request) -> Response:
        """The newest first."""
        caller = caller_of(request)
        found = queries.list_enrolment_requests(domains=caller.domain_ids, state=request.query_params.get("state", ""))
        results = [
            {
                "id": str(row.id),
                "domain": caller.slug_of(row.domain),
                "profile": row.profile,
                "name": row.name,
                "state": row.state.value,
                "hardware_serial": row.hardware_serial,
                "attributes": dict(row.attributes),
                "address": row.address,
                "public_key_sha256": row.public_key_sha256,
                "device": str(row.device) if row.device else None,
                "created_at": to_rfc3339(row.created_at),
            }
            for row in found
        ]
        return Response(page(results, next_cursor=None, approximate_count=len(results)))


class ApproveView(APIView):
    """An operator's yes."""

    scopes = {"POST": "enrolment-requests:write"}

    @extend_schema(operation_id="approveEnrolmentRequest", request=None, responses={204: None})
    def post(self, request: Request, enrolment_request: UUID) -> Response:
        """Nothing; the device gets its certificate the next time it asks."""
        found = _seen(request, enrolment_request)
        services.approve_request(request=found, actor=caller_of(request).actor, now=utc_now())
        return Response(status=204)


class DenyView(APIView):
    """An operator's no."""

    scopes = {"POST": "enrolment-requests:write"}

    @extend_schema(operation_id="denyEnrolmentRequest", request=None, responses={204: None})
    def post(self, request: Request, enrolment_request: UUID) -> Response:
        """Nothing; the device is refused."""
        found = _seen(request, enrolment_request)
        services.deny_request(request=found, actor=caller_of(request).actor, now=utc_now())
        return Response(status=204)


def _seen(request: Request, enrolment_request: UUID) -> EnrolmentRequestId:
    wanted = EnrolmentRequestId(enrolment_request)
    if not queries.enrolment_request_exists(request=wanted, domains=caller_of(request).domain_ids):
        raise UnknownRequest("There is no such enrolment request.")
    return wanted
