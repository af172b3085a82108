"""/api/v1/policy-changes/: drafts of a domain's policy, their approval, their application, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.policy_change_documents import (
    AppliedChangeDocument,
    ChangeDocument,
    ChangeListDocument,
    DecisionsDocument,
    EndDocument,
    NewChangeDocument,
    WrittenChangeDocument,
    change_document,
    change_row_document,
)
from devices.core.policy_changes import ChangeState, PolicyChange, PolicyChangeId
from devices.core.policy_document import PolicyDocument
from devices.core.policy_json import policy_from_json
from devices.core.policy_merge import Decisions, Side
from devices.queries import policy_changes as queries
from devices.services import policy_changes as services
from kernel.api.documents import body_of, caller_of
from kernel.api.if_match import expected_version, tag_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.errors import FieldError, Invalid
from kernel.core.pages import limit_of, page

IF_MATCH = OpenApiParameter(name="If-Match", location="header", description="The ETag of the change as it was read.")


class ChangeListView(APIView):
    """The changes of policy that the caller may see."""

    scopes = {"GET": "policy:read", "POST": "policy:write"}

    @extend_schema(
        operation_id="listPolicyChanges",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its changes only."),
            OpenApiParameter(name="state", description="Those in this state only."),
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
        rows = queries.list_changes(domains=domains, states=states, after=_place(request), limit=limit + 1)
        following = cursor.encode([str(rows[limit - 1].id)]) if len(rows) > limit else None
        results = [change_row_document(row, domain_slug=caller.slug_of(row.domain)) for row in rows[:limit]]
        count = queries.count_changes(domains=domains, states=states)
        return Response(page(results, next_cursor=following, approximate_count=count))

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
        return _answer(made, status=201)


class ChangeView(APIView):
    """One change."""

    scopes = {"GET": "policy:read", "PUT": "policy:write"}

    @extend_schema(operation_id="getPolicyChange", responses=ChangeDocument)
    def get(self, request: Request, policy_change: UUID) -> Response:
        """The change, with its ETag."""
        return _answer(_seen(request, policy_change))

    @extend_schema(
        operation_id="writePolicyChange",
        parameters=[IF_MATCH],
        request=WrittenChangeDocument,
        responses=ChangeDocument,
    )
    def put(self, request: Request, policy_change: UUID) -> Response:
        """The change as it is now; it has to be approved again."""
        seen = _seen(request, policy_change)
        body = body_of(WrittenChangeDocument, request)
        written = services.rewrite_change(
            change=seen.id,
            title=body.get("title"),
            document=_document(body),
            expected_version=expected_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _answer(written)


class RebaseView(APIView):
    """Makes a draft anew from the policy in force."""

    scopes = {"POST": "policy:write"}

    @extend_schema(
        operation_id="rebasePolicyChange", parameters=[IF_MATCH], request=DecisionsDocument, responses=ChangeDocument
    )
    def post(self, request: Request, policy_change: UUID) -> Response:
        """The change as it is now; 409 names each conflict that is not decided."""
        seen = _seen(request, policy_change)
        body = body_of(DecisionsDocument, request)
        quarantine = body.get("quarantine_role")
        decisions = Decisions(
            roles={name: Side(side) for name, side in body["roles"].items()},
            quarantine_role=Side(quarantine) if quarantine else None,
        )
        rebased = services.rebase_change(
            change=seen.id,
            decisions=decisions,
            expected_version=expected_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _answer(rebased)


class VersionRequired(Invalid):
    """Whoever approves says which version: another may have been written since it was read."""

    code = "if-match-required"


class ApproveView(APIView):
    """Finds a change good as it stands in the version that If-Match names."""

    scopes = {"POST": "policy:approve"}

    @extend_schema(operation_id="approvePolicyChange", parameters=[IF_MATCH], request=None, responses=ChangeDocument)
    def post(self, request: Request, policy_change: UUID) -> Response:
        """The change with the caller's approval."""
        seen, version = _seen(request, policy_change), expected_version(request)
        if version is None:
            raise VersionRequired(
                "Say which version you approve: send the ETag of the change as you read it, If-Match."
            )
        approved = services.approve_change(
            change=seen.id,
            expected_version=version,
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _answer(approved)


class RejectView(APIView):
    """Says that a change is not to be done."""

    scopes = {"POST": "policy:approve"}

    @extend_schema(
        operation_id="rejectPolicyChange", parameters=[IF_MATCH], request=EndDocument, responses=ChangeDocument
    )
    def post(self, request: Request, policy_change: UUID) -> Response:
        """The change, ended."""
        return _end(request, policy_change, services.reject_change)


class WithdrawView(APIView):
    """Takes back a change that nobody wants any more."""

    scopes = {"POST": "policy:write"}

    @extend_schema(
        operation_id="withdrawPolicyChange", parameters=[IF_MATCH], request=EndDocument, responses=ChangeDocument
    )
    def post(self, request: Request, policy_change: UUID) -> Response:
        """The change, ended."""
        return _end(request, policy_change, services.withdraw_change)


class ApplyView(APIView):
    """Puts an approved change in force as a whole."""

    scopes = {"POST": "policy:apply"}

    @extend_schema(
        operation_id="applyPolicyChange", parameters=[IF_MATCH], request=None, responses={202: AppliedChangeDocument}
    )
    def post(self, request: Request, policy_change: UUID) -> Response:
        """The operation in which the brokers follow."""
        seen = _seen(request, policy_change)
        applied = services.apply_change(
            change=seen.id,
            expected_version=expected_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return Response({"operation": str(applied.operation)}, status=202, headers=tag_of(applied.change.version))


class RollBackView(APIView):
    """Drafts the way back from an applied change."""

    scopes = {"POST": "policy:write"}

    @extend_schema(
        operation_id="rollBackPolicyChange", parameters=[IF_MATCH], request=None, responses={201: ChangeDocument}
    )
    def post(self, request: Request, policy_change: UUID) -> Response:
        """A new draft, to be approved and applied as any other."""
        seen = _seen(request, policy_change)
        back = services.roll_back_change(
            change=seen.id,
            expected_version=expected_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _answer(back, status=201)


def _seen(request: Request, change: UUID) -> PolicyChange:
    return queries.get_change(change=PolicyChangeId(change), domains=caller_of(request).domain_ids)


def _end(request: Request, policy_change: UUID, end: Callable[..., PolicyChange]) -> Response:
    ended = end(
        change=_seen(request, policy_change).id,
        note=body_of(EndDocument, request)["note"],
        expected_version=expected_version(request),
        actor=caller_of(request).actor,
        now=utc_now(),
    )
    return _answer(ended)


def _answer(change: PolicyChange, *, status: int = 200) -> Response:
    rule = queries.approval_rule_of(domain=change.domain)
    document = change_document(change, queries.standing_of(change=change), rule)
    return Response(document, status=status, headers=tag_of(change.version))


def _document(body: dict[str, object]) -> PolicyDocument | None:
    return policy_from_json(body["document"]) if "document" in body else None


def _states(request: Request) -> list[ChangeState] | None:
    wanted = request.query_params.get("state")
    if wanted is None:
        return None
    if wanted not in set(ChangeState):
        detail = f"A change is one of {', '.join(ChangeState)}."
        raise Invalid(detail, errors=(FieldError(pointer="/state", code="unknown-state", detail=detail),))
    return [ChangeState(wanted)]


def _place(request: Request) -> PolicyChangeId | None:
    text = request.query_params.get("cursor")
    if not text:
        return None
    try:
        [change] = cursor.decode(text)
        return PolicyChangeId(UUID(str(change)))
    except ValueError as error:
        raise cursor.WrongCursor("The cursor is none of ours: begin again without one.") from error
