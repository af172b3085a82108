"""/api/v1/operations/, /journal/, /applications/"""

from __future__ import annotations

import heapq
from itertools import islice
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console import queries
from console.api.serializers import (
    ApplicationListDocument,
    CreatedApplicationDocument,
    JournalDocument,
    NewApplicationDocument,
    OperationStateDocument,
    application_document,
    entry_document,
    operation_document,
)
from console.services.applications import create_application
from kernel.api.documents import caller_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.errors import NotFound
from kernel.core.ids import EntryId
from kernel.core.pages import limit_of, page, page_of
from kernel.queries import find_operation, list_entries

LIMIT = OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent.")
CURSOR = OpenApiParameter(name="cursor", description="`next` of the page before.")


class OperationView(APIView):
    """One operation."""

    scopes = {"GET": "operations:read"}

    @extend_schema(operation_id="getOperation", responses=OperationStateDocument)
    def get(self, request: Request, operation: UUID) -> Response:
        """How far the consequences of a change have come."""
        found = find_operation(operation=EntryId(operation))
        if found is None or found.domain is None or not caller_of(request).may_see(found.domain):
            raise NotFound(f"There is no operation with the id {operation}.")
        return Response(operation_document(found))


class JournalView(APIView):
    """The journal of the caller's domains."""

    scopes = {"GET": "journal:read"}

    @extend_schema(
        operation_id="listJournal",
        parameters=[
            LIMIT,
            CURSOR,
            OpenApiParameter(name="domain", description="Slug of a domain: its entries only."),
            OpenApiParameter(name="subject", description="`<kind>:<id>`, such as `devices.device:0193…`."),
        ],
        responses=JournalDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of entries, newest first."""
        caller, limit = caller_of(request), limit_of(request.query_params)
        wanted = request.query_params.get("domain")
        kind, _, subject = request.query_params.get("subject", "").partition(":")
        before = cursor.decode_number(request.query_params.get("cursor"))
        pages = [
            list_entries(domain=domain, subject_kind=kind, subject_id=subject, before_seq=before, limit=limit + 1)
            for domain in ([caller.domain(wanted)] if wanted else caller.domain_ids)
        ]
        merged = heapq.merge(*pages, key=lambda entry: entry.seq, reverse=True)
        entries = list(islice(merged, limit + 1))
        more = cursor.encode([entries[limit - 1].seq]) if len(entries) > limit else None
        count = entries[0].seq if more else len(entries)  # an upper bound: other domains' entries are counted too
        return Response(page(list(map(entry_document, entries[:limit])), next_cursor=more, approximate_count=count))


class ApplicationListView(APIView):
    """Applications."""

    scopes = {"GET": "applications:read", "POST": "applications:write"}

    @extend_schema(operation_id="listApplications", parameters=[LIMIT, CURSOR], responses=ApplicationListDocument)
    def get(self, request: Request) -> Response:
        """A page of the applications that stay within the caller's domains, oldest first."""
        caller, limit = caller_of(request), limit_of(request.query_params)
        after = cursor.decode_number(request.query_params.get("cursor"))
        found = queries.list_applications(domains=caller.domain_ids, after=after or 0, limit=limit + 1)
        answer = page_of(
            found,
            limit=limit,
            place=lambda application: [application.pk],
            document=application_document,
            approximate_count=len(found),
        )
        return Response(answer)

    @extend_schema(
        operation_id="createApplication", request=NewApplicationDocument, responses={201: CreatedApplicationDocument}
    )
    def post(self, request: Request) -> Response:
        """The new application with its secret, which is shown this once."""
        caller = caller_of(request)
        body = NewApplicationDocument(data=request.data)
        body.is_valid(raise_exception=True)
        slugs = body.validated_data.get("domains")
        made = create_application(
            name=body.validated_data["name"],
            scopes=body.validated_data["scopes"],
            domains=caller.domain_ids if slugs is None else tuple(map(caller.domain, slugs)),
            grantable=caller.scopes,
            actor=caller.actor,
            now=utc_now(),
        )
        document = {"id": made.client_id, "client_id": made.client_id, "client_secret": made.client_secret}
        return Response(document, status=201, headers={"Cache-Control": "no-store"})
