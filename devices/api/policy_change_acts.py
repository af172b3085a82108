"""/api/v1/policy-changes/<id>/…/: what is done to a change as a whole."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.api.policy_change_documents import (
    AppliedChangeDocument,
    ChangeDocument,
    DecisionsDocument,
    EndDocument,
)
from devices.api.policy_changes import IF_MATCH, MUST_MATCH, answer_with, seen_change
from devices.core.policy_changes import PolicyChange
from devices.core.policy_merge import Decisions, Side
from devices.services import policy_changes as services
from kernel.api.documents import body_of, caller_of
from kernel.api.if_match import expected_version, tag_of
from kernel.core.clock import utc_now
from kernel.core.errors import Unconditional


class RebaseView(APIView):
    """Makes a draft anew from the policy in force."""

    scopes = {"POST": "policy:write"}

    @extend_schema(
        operation_id="rebasePolicyChange", parameters=[IF_MATCH], request=DecisionsDocument, responses=ChangeDocument
    )
    def post(self, request: Request, policy_change: UUID) -> Response:
        """The change as it is now; 409 names each conflict that is not decided."""
        seen = seen_change(request, policy_change)
        body = body_of(DecisionsDocument, request)
        quarantine = body.get("quarantine_role")
        decisions = Decisions(
            roles={name: Side(side) for name, side in body["roles"].items()},
            quarantine_role=Side(quarantine) if quarantine else None,
            groups={name: Side(side) for name, side in body["groups"].items()},
        )
        rebased = services.rebase_change(
            change=seen.id,
            decisions=decisions,
            expected_version=expected_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return answer_with(rebased)


class ApproveView(APIView):
    """Finds a change good as it stands in the version that If-Match names."""

    scopes = {"POST": "policy:approve"}

    @extend_schema(operation_id="approvePolicyChange", parameters=[MUST_MATCH], request=None, responses=ChangeDocument)
    def post(self, request: Request, policy_change: UUID) -> Response:
        """The change with the caller's approval."""
        seen, version = seen_change(request, policy_change), expected_version(request)
        if version is None:
            raise Unconditional("Say which version you approve: send the ETag of the change as you read it, If-Match.")
        approved = services.approve_change(
            change=seen.id,
            expected_version=version,
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return answer_with(approved)


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
        seen = seen_change(request, policy_change)
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
        seen = seen_change(request, policy_change)
        back = services.roll_back_change(
            change=seen.id,
            expected_version=expected_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return answer_with(back, status=201)


def _end(request: Request, policy_change: UUID, end: Callable[..., PolicyChange]) -> Response:
    ended = end(
        change=seen_change(request, policy_change).id,
        note=body_of(EndDocument, request)["note"],
        expected_version=expected_version(request),
        actor=caller_of(request).actor,
        now=utc_now(),
    )
    return answer_with(ended)
