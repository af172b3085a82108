"""/api/v1/rollouts/: approved changes of policy that come in waves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers.api.rollout_documents import (
    NewRolloutDocument,
    RolloutDocument,
    RolloutListDocument,
    gate_of,
    rollout_document,
    rollout_row_document,
)
from brokers.services import start_rollout
from devices.core.policy_changes import PolicyChangeId
from devices.core.rollouts import Rollout, RolloutId, Split
from devices.queries import rollouts as queries
from devices.queries.policy_changes import get_change
from devices.services import rollouts as services
from kernel.api.documents import NoteDocument, body_of, caller_of
from kernel.api.if_match import expected_version, if_match_on, tag_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.pages import limit_of, page_of

IF_MATCH = if_match_on("rollout")


class RolloutListView(APIView):
    """The rollouts that the caller may see."""

    scopes = {"GET": "policy:read", "POST": "policy:apply"}

    @extend_schema(
        operation_id="listRollouts",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its rollouts only."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=RolloutListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of rollouts, newest first."""
        caller = caller_of(request)
        wanted = request.query_params.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        limit = limit_of(request.query_params)
        after = cursor.decode_id(request.query_params.get("cursor"), RolloutId)
        found = page_of(
            queries.list_rollouts(domains=domains, after=after, limit=limit + 1),
            limit=limit,
            place=lambda row: [str(row.id)],
            document=rollout_row_document,
            approximate_count=queries.count_rollouts(domains=domains),
        )
        return Response(found)

    @extend_schema(
        operation_id="startRollout",
        parameters=[if_match_on("change")],
        request=NewRolloutDocument,
        responses={201: RolloutDocument},
    )
    def post(self, request: Request) -> Response:
        """The rollout of an approved change; its first wave has come."""
        caller = caller_of(request)
        body = body_of(NewRolloutDocument, request)
        started = start_rollout(
            change=get_change(change=PolicyChangeId(body["change"]), domains=caller.domain_ids),
            split=Split(body["by"]),
            parts=body["waves"],
            gate=gate_of(body),
            expected_version=expected_version(request),
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer_with(started, status=201)


class RolloutView(APIView):
    """One rollout."""

    scopes = {"GET": "policy:read"}

    @extend_schema(operation_id="getRollout", responses=RolloutDocument)
    def get(self, request: Request, rollout: UUID) -> Response:
        """The rollout as it stands now, wave by wave, with its ETag."""
        return _answer_with(_seen(request, rollout))


class PauseRolloutView(APIView):
    """Stops a rollout where it is."""

    scopes = {"POST": "policy:apply"}

    @extend_schema(operation_id="pauseRollout", parameters=[IF_MATCH], request=NoteDocument, responses=RolloutDocument)
    def post(self, request: Request, rollout: UUID) -> Response:
        """The rollout, paused: who has the new policy keeps it."""
        return _act(request, rollout, services.pause_rollout, **body_of(NoteDocument, request))


class ResumeRolloutView(APIView):
    """Lets a rollout go on."""

    scopes = {"POST": "policy:apply"}

    @extend_schema(operation_id="resumeRollout", parameters=[IF_MATCH], request=None, responses=RolloutDocument)
    def post(self, request: Request, rollout: UUID) -> Response:
        """The rollout, whose present wave is watched anew."""
        return _act(request, rollout, services.resume_rollout)


class AdvanceRolloutView(APIView):
    """Brings the next wave at once."""

    scopes = {"POST": "policy:apply"}

    @extend_schema(
        operation_id="advanceRollout", parameters=[IF_MATCH], request=NoteDocument, responses=RolloutDocument
    )
    def post(self, request: Request, rollout: UUID) -> Response:
        """The rollout with its next wave, or done, whatever the present wave was found to be."""
        return _act(request, rollout, services.advance_rollout, **body_of(NoteDocument, request))


class RollBackRolloutView(APIView):
    """Takes a rollout back."""

    scopes = {"POST": "policy:apply"}

    @extend_schema(
        operation_id="rollBackRollout", parameters=[IF_MATCH], request=NoteDocument, responses=RolloutDocument
    )
    def post(self, request: Request, rollout: UUID) -> Response:
        """The rollout, over: everybody has the policy before, and the change is a draft again."""
        return _act(request, rollout, services.roll_back_rollout, **body_of(NoteDocument, request))


def _act(request: Request, rollout: UUID, act: Callable[..., Rollout], **more: Any) -> Response:
    done = act(
        rollout=_seen(request, rollout).id,
        expected_version=expected_version(request),
        actor=caller_of(request).actor,
        now=utc_now(),
        **more,
    )
    return _answer_with(done)


def _seen(request: Request, rollout: UUID) -> Rollout:
    """The rollout, if the caller may see it. Raises RolloutNotFound."""
    return queries.get_rollout(rollout=RolloutId(rollout), domains=caller_of(request).domain_ids)


def _answer_with(rollout: Rollout, *, status: int = 200) -> Response:
    return Response(rollout_document(rollout), status=status, headers=tag_of(rollout.version))
