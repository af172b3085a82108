"""/api/v1/policy-changes/: drafts of a domain's policy, and its history."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.policy_change_documents import (
    ChangeDocument,
    ChangeListDocument,
    NewChangeDocument,
    WrittenChangeDocument,
    change_document,
    change_row_document,
)
from devices.core.policy_changes import ChangeState, PolicyChange, PolicyChangeId
from devices.core.policy_document import PolicyDocument
from devices.core.policy_json import policy_from_json
from devices.queries import policy_changes as queries
from devices.services import policy_changes as services
from kernel.api.documents import body_of, caller_of
from kernel.api.if_match import if_match_on, required_version, tag_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.errors import FieldError, Invalid
from kernel.core.pages import limit_of, page_of

IF_MATCH = if_match_on("change")
MUST_MATCH = if_match_on("change", required=True)


class ChangeListView(APIView):
    """The changes of policy that the caller may see."""

    scopes = {"GET": "policy:read", "POST": "policy:write"}

    @extend_schema(
        operation_id="listPolicyChanges",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its changes only."),
            OpenApiParameter(name="state", description="Those in this state only, or in one of several: `a,b`."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=ChangeListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of changes, newest first."""
        caller = caller_of(request)
        wanted = request.query_params.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        states, limit = _states(request), limit_of(request.query_params)
        after = cursor.decode_id(request.query_params.get("cursor"), PolicyChangeId)
        found = page_of(
            queries.list_changes(domains=domains, states=states, after=after, limit=limit + 1),
            limit=limit,
            place=lambda row: [str(row.id)],
            document=lambda row: change_row_document(row, domain_slug=caller.slug_of(row.domain)),
            approximate_count=queries.count_changes(domains=domains, states=states),
        )
        return Response(found)

    @extend_schema(operation_id="draftPolicyChange", request=NewChangeDocument, responses={201: ChangeDocument})
    def post(self, request: Request) -> Response:
        """The new draft, made from the policy in force."""
        caller = caller_of(request)
        body = body_of(NewChangeDocument, request)
        made = services.draft_change(
            domain=caller.domain(body.get("domain")),
            title=body["title"],
            document=_document(body),
            actor=caller.actor,
            now=utc_now(),
        )
        return answer_with(made, status=201)


class ChangeView(APIView):
    """One change."""

    scopes = {"GET": "policy:read", "PUT": "policy:write"}

    @extend_schema(operation_id="getPolicyChange", responses=ChangeDocument)
    def get(self, request: Request, policy_change: UUID) -> Response:
        """The change, with its ETag."""
        return answer_with(seen_change(request, policy_change))

    @extend_schema(
        operation_id="writePolicyChange",
        parameters=[MUST_MATCH],
        request=WrittenChangeDocument,
        responses=ChangeDocument,
    )
    def put(self, request: Request, policy_change: UUID) -> Response:
        """The change as it is now; it has to be approved again."""
        seen = seen_change(request, policy_change)
        body = body_of(WrittenChangeDocument, request)
        written = services.rewrite_change(
            change=seen.id,
            title=body.get("title"),
            document=_document(body),
            expected_version=required_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return answer_with(written)


def seen_change(request: Request, change: UUID) -> PolicyChange:
    """The change, if the caller may see it. Raises PolicyChangeNotFound."""
    return queries.get_change(change=PolicyChangeId(change), domains=caller_of(request).domain_ids)


def answer_with(change: PolicyChange, *, status: int = 200) -> Response:
    """The change as it stands, with its ETag."""
    rule = queries.approval_rule_of(domain=change.domain)
    document = change_document(change, queries.standing_of(change=change), rule)
    return Response(document, status=status, headers=tag_of(change.version))


def _document(body: dict[str, object]) -> PolicyDocument | None:
    return policy_from_json(body["document"]) if "document" in body else None


def _states(request: Request) -> list[ChangeState] | None:
    wanted = request.query_params.get("state")
    if wanted is None:
        return None
    names = wanted.split(",")
    if not set(names) <= set(ChangeState):
        detail = f"A change is one of {', '.join(ChangeState)}."
        raise Invalid(detail, errors=(FieldError(pointer="/state", code="unknown-state", detail=detail),))
    return [ChangeState(name) for name in names]
