"""/api/v1/issuers/: those there are, and new ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.core import cursor
from kernel.core.clock import utc_now
from kernel.core.cursor import WrongCursor
from kernel.core.pages import limit_of, page
from pki import queries, services
from pki.api.documents import NothingDocument
from pki.api.issuer_bodies import NewIssuerDocument
from pki.api.issuer_documents import (
    CrlDocument,
    IssuerDocument,
    IssuerListDocument,
    SigningRequestDocument,
    crl_document,
    issuer_document,
    signing_request_document,
)
from pki.core.values import Custody, Issuer, IssuerId, IssuerKind, IssuerState, KeyAlgorithm

ORDERED = OpenApiResponse(SigningRequestDocument, description="An offline issuer has to sign it first.")


class IssuerListView(APIView):
    """The issuers that the caller may see."""

    scopes = {"GET": "issuers:read", "POST": "issuers:sign"}

    @extend_schema(
        operation_id="listIssuers",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its issuers only."),
            OpenApiParameter(name="kind", enum=[*IssuerKind], description="Those of this kind."),
            OpenApiParameter(name="state", enum=[*IssuerState], description="Those in this state."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=IssuerListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of issuers by slug."""
        caller, asked = caller_of(request), request.query_params
        limit, wanted = limit_of(asked), asked.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        after = _place(asked.get("cursor"))
        every = sorted(queries.list_issuers(domains=domains), key=lambda issuer: issuer.slug)
        slugs: Mapping[IssuerId | None, str] = {issuer.id: issuer.slug for issuer in every}
        every = [
            issuer
            for issuer in every
            if asked.get("kind", issuer.kind) == issuer.kind and asked.get("state", issuer.state) == issuer.state
        ]
        found = [issuer for issuer in every if issuer.slug > after]
        more = cursor.encode([found[limit - 1].slug]) if len(found) > limit else None
        ids = [issuer.id for issuer in found[:limit]]
        crls, custodies = queries.crl_statuses(issuers=ids), queries.custodies_of(issuers=ids)
        documents = [
            issuer_document(
                issuer,
                crls.get(issuer.id),
                domain_slug=caller.slug_of(issuer.domain),
                parent_slug=slugs.get(issuer.parent),
                successor_slug=slugs.get(issuer.successor),
                custody=custodies.get(issuer.id),
            )
            for issuer in found[:limit]
        ]
        return Response(page(documents, next_cursor=more, approximate_count=len(every)))

    @extend_schema(
        operation_id="createIssuer", request=NewIssuerDocument, responses={201: IssuerDocument, 202: ORDERED}
    )
    def post(self, request: Request) -> Response:
        """A new root, or a CA below `parent`; what an offline parent has to sign first."""
        body, caller = body_of(NewIssuerDocument, request), caller_of(request)
        domain = caller.domain(body.get("domain"))
        days = body.get("validity_days")
        wanted: dict[str, Any] = {
            "slug": body["slug"],
            "common_name": body["name"],
            "key_algorithm": KeyAlgorithm(body["key_algorithm"]),
            "custody": Custody(body["custody"]),
            "crl_shards": body["crl_shards"],
            "validity": timedelta(days=days) if days else None,
            "actor": caller.actor,
            "now": utc_now(),
        }
        if "parent" not in body:
            return Response(issuer_seen(request, services.create_root(domain=domain, **wanted)), status=201)
        parent = queries.find_issuer(slug=body["parent"], domains=[domain])
        wanted |= {"parent": parent.id, "path_length": body.get("path_length")}
        if parent.kind is IssuerKind.OFFLINE:
            return Response(signing_request_document(services.order_issuing_ca(**wanted)), status=202)
        return Response(issuer_seen(request, services.create_issuing_ca(**wanted)), status=201)


class IssuerView(APIView):
    """One issuer."""

    scopes = {"GET": "issuers:read"}

    @extend_schema(operation_id="getIssuer", responses=IssuerDocument)
    def get(self, request: Request, slug: str) -> Response:
        """The issuer."""
        return Response(issuer_seen(request, seen(request, slug)))


class IssuerCrlView(APIView):
    """The CRL of one issuer."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="publishCrl", request=NothingDocument, responses={201: CrlDocument, 202: ORDERED})
    def post(self, request: Request, slug: str) -> Response:
        """A CRL that is published now, whether or not the newest would do; what an offline issuer has to sign."""
        issuer = seen(request, slug)
        body_of(NothingDocument, request)
        if issuer.kind is IssuerKind.OFFLINE:
            ordered = services.order_crl(issuer=issuer.id, now=utc_now(), force=True)
            assert ordered is not None
            return Response(signing_request_document(ordered), status=202)
        crl = services.publish_crl(issuer=issuer.id, now=utc_now(), force=True)
        return Response(crl_document(crl), status=201)


def seen(request: Request, slug: str) -> Issuer:
    """The issuer of that slug, if the caller may know of it. Raises UnknownIssuer."""
    return queries.find_issuer(slug=slug, domains=caller_of(request).domain_ids)


def issuer_seen(request: Request, issuer: Issuer) -> dict[str, Any]:
    """The issuer as JSON for the caller."""
    return issuer_document(
        issuer,
        queries.crl_status(issuer=issuer.id),
        domain_slug=caller_of(request).slug_of(issuer.domain),
        parent_slug=queries.find_issuer(id=issuer.parent).slug if issuer.parent else None,
        successor_slug=queries.find_issuer(id=issuer.successor).slug if issuer.successor else None,
        custody=queries.custody_of(issuer=issuer.id),
    )


def _place(text: str | None) -> str:
    if not text:
        return ""
    match cursor.decode(text):
        case [str(slug)]:
            return slug
    raise WrongCursor("The cursor is none of ours: begin again without one.")
