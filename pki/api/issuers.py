"""/api/v1/issuers/"""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.cursor import WrongCursor
from kernel.core.pages import limit_of, page
from pki import queries, services
from pki.api.documents import (
    CrlDocument,
    IssuerDocument,
    IssuerListDocument,
    NothingDocument,
    crl_document,
    issuer_document,
)
from pki.core.values import Issuer, IssuerId


class IssuerListView(APIView):
    """The issuers that the caller may see."""

    scopes = {"GET": "issuers:read"}

    @extend_schema(
        operation_id="listIssuers",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its issuers only."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=IssuerListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of issuers by slug."""
        caller, limit = caller_of(request), limit_of(request.query_params)
        wanted = request.query_params.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        after = _place(request.query_params.get("cursor"))
        every = sorted(queries.list_issuers(domains=domains), key=lambda issuer: issuer.slug)
        found = [issuer for issuer in every if issuer.slug > after]
        more = cursor.encode([found[limit - 1].slug]) if len(found) > limit else None
        slugs: Mapping[IssuerId | None, str] = {issuer.id: issuer.slug for issuer in every}
        crls = queries.crl_statuses(issuers=[issuer.id for issuer in found[:limit]])
        documents = [
            issuer_document(
                issuer,
                crls.get(issuer.id),
                domain_slug=caller.slug_of(issuer.domain),
                parent_slug=slugs.get(issuer.parent),
            )
            for issuer in found[:limit]
        ]
        return Response(page(documents, next_cursor=more, approximate_count=len(every)))


class IssuerView(APIView):
    """One issuer."""

    scopes = {"GET": "issuers:read"}

    @extend_schema(operation_id="getIssuer", responses=IssuerDocument)
    def get(self, request: Request, slug: str) -> Response:
        """The issuer."""
        issuer = _seen(request, slug)
        document = issuer_document(
            issuer,
            queries.crl_status(issuer=issuer.id),
            domain_slug=caller_of(request).slug_of(issuer.domain),
            parent_slug=queries.find_issuer(id=issuer.parent).slug if issuer.parent else None,
        )
        return Response(document)


class IssuerCrlView(APIView):
    """The CRL of one issuer."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="publishCrl", request=NothingDocument, responses={201: CrlDocument})
    def post(self, request: Request, slug: str) -> Response:
        """A CRL that is published now, whether or not the newest would do."""
        issuer = _seen(request, slug)
        body_of(NothingDocument, request)
        crl = services.publish_crl(issuer=issuer.id, now=utc_now(), force=True)
        return Response(crl_document(crl), status=201)


def _seen(request: Request, slug: str) -> Issuer:
    return queries.find_issuer(slug=slug, domains=caller_of(request).domain_ids)


def _place(text: str | None) -> str:
    if not text:
        return ""
    match cursor.decode(text):
        case [str(slug)]:
            return slug
    raise WrongCursor("The cursor is none of ours: begin again without one.")
