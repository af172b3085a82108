"""/api/v1/roles/"""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl import queries, services
from acl.api.serializers import (
    NewRoleDocument,
    RoleDocument,
    RoleListDocument,
    role_document,
    rule_specs,
)
from acl.core.values import Role, RoleId
from kernel.api.documents import caller_of
from kernel.api.if_match import expected_version, if_match_on, required_version, tag_of
from kernel.core import cursor
from kernel.core.caller import Caller
from kernel.core.clock import utc_now
from kernel.core.pages import limit_of, page_of

_IF_MATCH = if_match_on("role")
_MUST_MATCH = if_match_on("role", required=True)


class RoleListView(APIView):
    """The roles that the caller may see."""

    scopes = {"GET": "roles:read", "POST": "roles:write"}

    @extend_schema(
        operation_id="listRoles",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its roles only."),
            OpenApiParameter(name="name", description="The role of exactly this name."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=RoleListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of roles by name."""
        caller = caller_of(request)
        wanted = request.query_params.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        limit = limit_of(request.query_params)
        after = cursor.decode_named(request.query_params.get("cursor"), RoleId)
        name = request.query_params.get("name")
        found = page_of(
            queries.list_roles(domains=domains, name=name, with_own=False, after=after, limit=limit + 1),
            limit=limit,
            place=lambda role: [role.name, str(role.id)],
            document=lambda role: _document(role, caller),
            approximate_count=queries.count_roles(domains=domains),
        )
        return Response(found)

    @extend_schema(operation_id="createRole", request=NewRoleDocument, responses={201: RoleDocument})
    def post(self, request: Request) -> Response:
        """The new role."""
        caller = caller_of(request)
        body = NewRoleDocument(data=request.data)
        body.is_valid(raise_exception=True)
        role = services.create_role(
            domain=caller.domain(body.validated_data.get("domain")),
            name=body.validated_data["name"],
            description=body.validated_data["description"],
            rules=rule_specs(body.validated_data["rules"]),
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer(role, caller, status=201)


class RoleView(APIView):
    """One role."""

    scopes = {"GET": "roles:read", "PUT": "roles:write", "DELETE": "roles:write"}

    @extend_schema(operation_id="getRole", responses=RoleDocument)
    def get(self, request: Request, role: UUID) -> Response:
        """The role, with its ETag."""
        caller = caller_of(request)
        return _answer(_seen(role, caller), caller)

    @extend_schema(operation_id="changeRole", parameters=[_MUST_MATCH], request=RoleDocument, responses=RoleDocument)
    def put(self, request: Request, role: UUID) -> Response:
        """The role as it is now."""
        caller = caller_of(request)
        seen = _seen(role, caller)
        body = RoleDocument(data=request.data)
        body.is_valid(raise_exception=True)
        changed = services.change_role(
            role=seen.id,
            name=body.validated_data["name"],
            description=body.validated_data["description"],
            rules=rule_specs(body.validated_data["rules"]),
            expected_version=required_version(request),
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer(changed, caller)

    @extend_schema(operation_id="deleteRole", parameters=[_IF_MATCH], responses={204: None})
    def delete(self, request: Request, role: UUID) -> Response:
        """Nothing; the role is gone."""
        caller = caller_of(request)
        seen = _seen(role, caller)
        services.delete_role(
            role=seen.id, expected_version=expected_version(request), actor=caller.actor, now=utc_now()
        )
        return Response(status=204)


def _seen(role: UUID, caller: Caller) -> Role:
    return queries.get_role(id=RoleId(role), domains=list(caller.domain_ids))


def _answer(role: Role, caller: Caller, *, status: int = 200) -> Response:
    return Response(_document(role, caller), status=status, headers=tag_of(role.version))


def _document(role: Role, caller: Caller) -> dict[str, object]:
    return role_document(role, domain_slug=caller.slug_of(role.domain))
