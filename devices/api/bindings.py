"""/api/v1/bindings/: who has which role, and when."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl import queries as roles
from acl.core.values import RoleId
from devices import queries, services
from devices.core.values import BindingId, PrincipalKind
from devices.core.windows import WindowState, window_of
from devices.queries import BindingRow
from devices.services.bindings import BindingTarget
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.api.if_match import expected_version, if_match_on, tag_of
from kernel.core import cursor
from kernel.core.caller import Caller
from kernel.core.clock import utc_now
from kernel.core.errors import NotFound
from kernel.core.ids import DomainId
from kernel.core.pages import limit_of, page


def _moment() -> serializers.CharField:
    return serializers.CharField(
        required=False, allow_null=True, max_length=40, help_text="RFC 3339, such as 2027-03-01T12:00:00Z"
    )


class TargetDocument(StrictDocument):
    """Exactly one of these: a device or application by id, a group or type by name, the domain by slug."""

    device = serializers.UUIDField(required=False)
    application = serializers.UUIDField(required=False)
    group = serializers.CharField(required=False, max_length=64)
    device_type = serializers.CharField(required=False, max_length=64)
    domain = serializers.CharField(required=False, max_length=63)


class BindingDocument(StrictDocument):
    """A role given to something. `role` is its name or id.

    From `not_before` on and until `not_after` the role counts, `state` says whether it does now. If-Match of a change
    is about `version`.
    """

    id = serializers.UUIDField(read_only=True)
    domain = serializers.CharField(required=False)
    role = serializers.CharField(max_length=64)
    target = TargetDocument()
    not_before = _moment()
    not_after = _moment()
    state = serializers.ChoiceField(choices=[*WindowState], read_only=True)
    version = serializers.IntegerField(read_only=True)


class BindingListDocument(serializers.Serializer[Any]):
    """A page of them."""

    results = BindingDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class WindowDocument(StrictDocument):
    """When a role is to count."""

    not_before = _moment()
    not_after = _moment()


class BindingListView(APIView):
    """Who has which role."""

    scopes = {"GET": "bindings:read", "POST": "bindings:write"}

    @extend_schema(
        operation_id="listBindings",
        parameters=[
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=BindingListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of the bindings of the caller's domains, the oldest first."""
        caller, limit = caller_of(request), limit_of(request.query_params)
        after = cursor.decode_id(request.query_params.get("cursor"), BindingId)
        found = queries.list_bindings(domains=caller.domain_ids, after=after, limit=limit + 1)
        shown, last = found[:limit], found[limit - 1] if len(found) > limit else None
        names = roles.roles_by_id(ids=[row.role for row in shown])
        return Response(
            page(
                [_document(row, caller, role=names[row.role].name) for row in shown if row.role in names],  # not gone
                next_cursor=cursor.encode([str(last.id)]) if last else None,
                approximate_count=sum(queries.count_bindings(domains=caller.domain_ids).values()),
            )
        )

    @extend_schema(operation_id="createBinding", request=BindingDocument, responses={201: BindingDocument})
    def post(self, request: Request) -> Response:
        """The new binding."""
        caller = caller_of(request)
        body = body_of(BindingDocument, request)
        target = BindingTarget(**body["target"])
        domain = _domain_of(target, body.get("domain"), caller)
        role, name = _role(body["role"], domain)
        window = window_of(body)
        made = services.bind_role(
            domain=domain, role=role, target=target, window=window, actor=caller.actor, now=utc_now()
        )
        return _answer(_seen(made, caller), caller, role=name, status=201)


class BindingView(APIView):
    """One binding."""

    scopes = {"GET": "bindings:read", "PATCH": "bindings:write", "DELETE": "bindings:write"}

    @extend_schema(operation_id="getBinding", responses=BindingDocument)
    def get(self, request: Request, binding: UUID) -> Response:
        """The binding; its ETag is for If-Match."""
        caller = caller_of(request)
        return _answer(_seen(BindingId(binding), caller), caller)

    @extend_schema(
        operation_id="changeBinding",
        parameters=[if_match_on("binding")],
        request=WindowDocument,
        responses=BindingDocument,
    )
    def patch(self, request: Request, binding: UUID) -> Response:
        """The binding with another window: a bound that is left out stays, null takes it away."""
        caller = caller_of(request)
        seen, version = _seen(BindingId(binding), caller), expected_version(request)
        services.change_binding(
            binding=seen.id,
            window=window_of({**seen.window.as_texts(), **body_of(WindowDocument, request)}),
            expected_version=seen.version if version is None else version,
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer(_seen(seen.id, caller), caller)

    @extend_schema(operation_id="deleteBinding", responses={204: None})
    def delete(self, request: Request, binding: UUID) -> Response:
        """Nothing; the role is taken away."""
        caller = caller_of(request)
        seen = _seen(BindingId(binding), caller)
        services.unbind_role(binding=seen.id, actor=caller.actor, now=utc_now())
        return Response(status=204)


def _domain_of(target: BindingTarget, slug: str | None, caller: Caller) -> DomainId:
    """The domain that is meant: the one named, or the target's own."""
    if slug is None and (principal := target.device or target.application):
        return queries.get_principal(id=principal, domains=caller.domain_ids).domain
    return caller.domain(slug if slug is not None else target.domain)


def _role(text: str, domain: DomainId) -> tuple[RoleId, str]:
    """Id and name of the role of that name or id."""
    found = roles.find_role(domain=domain, name=text)
    if found is None:
        try:
            found = roles.get_role(id=RoleId(UUID(text)), domains=[domain])
        except ValueError as error:
            raise NotFound(f"There is no role {text[:64]!r} in this domain.", code="role-not-found") from error
    return found.id, found.name


def _seen(binding: BindingId, caller: Caller) -> BindingRow:
    return queries.get_binding(binding=binding, domains=caller.domain_ids)


def _answer(row: BindingRow, caller: Caller, *, role: str | None = None, status: int = 200) -> Response:
    name = role or roles.get_role(id=row.role).name
    return Response(_document(row, caller, role=name), status=status, headers=tag_of(row.version))


def _document(row: BindingRow, caller: Caller, *, role: str) -> dict[str, Any]:
    target = row.target_id if row.via in set(PrincipalKind) else row.target
    return {
        "id": str(row.id),
        "domain": caller.slug_of(row.domain),
        "role": role,
        "target": {row.via: target},
        "not_before": None,
        "not_after": None,
        **row.window.as_texts(),
        "state": row.window.state(utc_now()).value,
        "version": row.version,
    }
