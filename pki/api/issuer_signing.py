"""/api/v1/issuers/<slug>/: the files between an offline issuer and here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.core.clock import utc_now
from pki import queries, services
from pki.api.documents import NothingDocument
from pki.api.issuer_bodies import SignaturesDocument
from pki.api.issuer_documents import ImportedSignaturesDocument, SigningFileDocument, signing_request_document
from pki.api.issuers import seen
from pki.core.issuer_values import SigningRequestId
from pki.core.values import Issuer


class SigningRequestsView(APIView):
    """What an offline issuer has yet to sign."""

    scopes = {"GET": "issuers:read", "POST": "issuers:sign"}

    @extend_schema(operation_id="listSigningRequests", responses=SigningFileDocument)
    def get(self, request: Request, slug: str) -> Response:
        """What is ordered already, and the file of it for `manage.py sign-offline`."""
        issuer = seen(request, slug)
        return Response(_document(issuer, services.read_signing_file(issuer=issuer.id)))

    @extend_schema(operation_id="exportSigningRequests", request=NothingDocument, responses={201: SigningFileDocument})
    def post(self, request: Request, slug: str) -> Response:
        """The same once the next CRL and OCSP signer are ordered, if they are due."""
        issuer = seen(request, slug)
        body_of(NothingDocument, request)
        file = services.export_signing_requests(issuer=issuer.id, now=utc_now())
        return Response(_document(issuer, file), status=201)


class SigningRequestView(APIView):
    """One thing that an offline issuer has yet to sign."""

    scopes = {"DELETE": "issuers:sign"}

    @extend_schema(operation_id="cancelSigningRequest", responses={204: None})
    def delete(self, request: Request, slug: str, signing_request: UUID) -> Response:
        """Gives it up; a certificate that it was for is revoked, in case somebody has signed it."""
        caller, issuer = caller_of(request), seen(request, slug)
        found = queries.get_signing_request(id=SigningRequestId(signing_request), domains=[issuer.domain])
        services.cancel_signing_request(id=found.id, actor=caller.actor, now=utc_now())
        return Response(status=204)


class SignaturesView(APIView):
    """What an offline issuer signed."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="importSignatures", request=SignaturesDocument, responses=ImportedSignaturesDocument)
    def post(self, request: Request, slug: str) -> Response:
        """What became of each: CAs come into being, OCSP signers and CRLs into force. Repeating is harmless."""
        issuer, actor = seen(request, slug), caller_of(request).actor
        file = body_of(SignaturesDocument, request)["file"].encode()
        outcomes = services.import_signatures(issuer=issuer.id, file=file, actor=actor, now=utc_now())
        return Response(
            {"results": [{"id": str(each.id), "purpose": each.purpose, "fault": each.fault} for each in outcomes]}
        )


def _document(issuer: Issuer, file: bytes) -> dict[str, Any]:
    waiting = queries.list_signing_requests(issuer=issuer.id)
    return {"results": [signing_request_document(each) for each in waiting], "file": file.decode()}
