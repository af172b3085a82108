"""/api/v1/groups/: sets of devices, chosen one by one or found by a query."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import queries, services
from devices.core.group_query import MOST_CHARACTERS, canonical
from devices.core.tags import query_tag
from devices.core.values import DeviceId, GroupId
from devices.queries import GroupRow
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.api.if_match import expected_digest, if_match_on, tag_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.pages import limit_of, page_of


class GroupDocument(StrictDocument):
    """A set of devices: chosen `members`, or those that `query` is true of; null for chosen ones."""

    id = serializers.UUIDField(read_only=True)
    domain = serializers.CharField(required=False)
    name = serializers.CharField(max_length=64)
    members = serializers.ListField(child=serializers.UUIDField(), default=list, write_only=True, max_length=10_000)
    query = serializers.CharField(required=False, allow_null=True, max_length=MOST_CHARACTERS)
    member_count = serializers.IntegerField(read_only=True)


class GroupListDocument(serializers.Serializer[Any]):
    """A page of groups."""

    results = GroupDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class QueryDocument(StrictDocument):
    """Which devices belong to a group by query."""

    query = serializers.CharField(max_length=MOST_CHARACTERS)


class AskedQueryDocument(QueryDocument):
    """A query to be tried in a domain."""

    domain = serializers.CharField(required=False)


class PreviewDocument(serializers.Serializer[Any]):
    """What a query finds now: `query` in its one spelling, how many devices (counted up to 10,000), some names."""

    query = serializers.CharField()
    approximate_count = serializers.IntegerField()
    sample = serializers.ListField(child=serializers.CharField())


class MembersDocument(StrictDocument):
    """Who joins and who leaves a group."""

    add = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=10_000)
    remove = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=10_000)


class GroupListView(APIView):
    """The groups that the caller may see."""

    scopes = {"GET": "groups:read", "POST": "groups:write"}

    @extend_schema(
        operation_id="listGroups",
        parameters=[
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=GroupListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of groups by name."""
        domains, limit = caller_of(request).domain_ids, limit_of(request.query_params)
        after = cursor.decode_named(request.query_params.get("cursor"), GroupId)
        found = page_of(
            queries.list_groups(domains=domains, after=after, limit=limit + 1),
            limit=limit,
            place=lambda row: [row.name, str(row.id)],
            document=_document,
            approximate_count=queries.count_groups(domains=domains),
        )
        return Response(found)

    @extend_schema(operation_id="createGroup", request=GroupDocument, responses={201: GroupDocument})
    def post(self, request: Request) -> Response:
        """The new group, of chosen members or by query."""
        caller = caller_of(request)
        body = body_of(GroupDocument, request)
        made = services.create_group(
            domain=caller.domain(body.get("domain")),
            name=body["name"],
            members=[DeviceId(member) for member in body["members"]],
            query=body.get("query") or "",
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer(queries.get_group(group=made, domains=caller.domain_ids), status=201)


class GroupPreviewView(APIView):
    """What a query would find; no group is made. It tells of devices what a list of them does."""

    scopes = {"POST": "devices:read"}

    @extend_schema(operation_id="previewGroup", request=AskedQueryDocument, responses=PreviewDocument)
    def post(self, request: Request) -> Response:
        """The count and the first names."""
        body = body_of(AskedQueryDocument, request)
        found = queries.preview_query(domain=caller_of(request).domain(body.get("domain")), query=body["query"])
        return Response(
            {
                "query": canonical(body["query"]),
                "approximate_count": found.found.approximate_count,
                "sample": list(found.found.sample),
            }
        )


class GroupView(APIView):
    """One group."""

    scopes = {"GET": "groups:read", "PATCH": "groups:write"}

    @extend_schema(operation_id="getGroup", responses=GroupDocument)
    def get(self, request: Request, group: UUID) -> Response:
        """The group; its members are listed by `devices/?group=`. Its ETag is that of its query."""
        return _answer(_seen(request, group))

    @extend_schema(
        operation_id="changeGroup",
        parameters=[if_match_on("group")],
        request=QueryDocument,
        responses=GroupDocument,
    )
    def patch(self, request: Request, group: UUID) -> Response:
        """The group with the query; where policy is approved by a second operator, make a draft instead."""
        seen = _seen(request, group)
        services.change_group_query(
            group=seen.id,
            query=body_of(QueryDocument, request)["query"],
            expected_tag=expected_digest(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _answer(_seen(request, group))


class GroupMembersView(APIView):
    """Who is in a group of chosen members."""

    scopes = {"POST": "groups:write"}

    @extend_schema(operation_id="changeGroupMembers", request=MembersDocument, responses={204: None})
    def post(self, request: Request, group: UUID) -> Response:
        """Nothing; the group is changed."""
        seen = _seen(request, group)
        body = body_of(MembersDocument, request)
        for change, members in ((services.add_to_group, body["add"]), (services.remove_from_group, body["remove"])):
            if members:
                wanted = [DeviceId(member) for member in members]
                change(group=seen.id, devices=wanted, actor=caller_of(request).actor, now=utc_now())
        return Response(status=204)


def _seen(request: Request, group: UUID) -> GroupRow:
    return queries.get_group(group=GroupId(group), domains=caller_of(request).domain_ids)


def _answer(row: GroupRow, *, status: int = 200) -> Response:
    return Response(_document(row), status=status, headers=tag_of(query_tag(row.query)))


def _document(row: GroupRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "domain": row.domain_slug,
        "name": row.name,
        "query": row.query or None,
        "member_count": row.member_count,
    }
