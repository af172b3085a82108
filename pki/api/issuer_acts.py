"""/api/v1/issuers/<slug>/: what is done with an issuer in the course of its life."""

from __future__ import annotations

from datetime import timedelta

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.core.clock import utc_now
from kernel.core.errors import Invalid
from pki import queries, services
from pki.api.documents import NothingDocument
from pki.api.issuer_bodies import CrossSigningDocument, IssuerRevocationDocument, RetirementDocument, RolloverDocument
from pki.api.issuer_documents import (
    CrossCertificateDocument,
    CrossCertificateListDocument,
    CrossRequestDocument,
    IssuerDocument,
    cross_document,
    signing_request_document,
)
from pki.api.issuers import ORDERED, issuer_seen, seen
from pki.core.values import Custody, Issuer, IssuerKind, KeyAlgorithm, ReasonCode


class RolloverView(APIView):
    """A new issuer beside an old one."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(
        operation_id="rollOverIssuer", request=RolloverDocument, responses={201: IssuerDocument, 202: ORDERED}
    )
    def post(self, request: Request, slug: str) -> Response:
        """The new issuer; the old one is trusted, and has CRLs and OCSP, until what it signed has ended."""
        issuer, caller = seen(request, slug), caller_of(request)
        body = body_of(RolloverDocument, request)
        done = services.roll_over_issuer(
            issuer=issuer.id,
            slug=body["slug"],
            common_name=body["name"],
            key_algorithm=KeyAlgorithm(body["key_algorithm"]) if "key_algorithm" in body else None,
            custody=Custody(body["custody"]) if "custody" in body else None,
            validity=timedelta(days=body["validity_days"]) if "validity_days" in body else None,
            actor=caller.actor,
            now=utc_now(),
        )
        if done.ordered is not None:
            return Response(signing_request_document(done.ordered), status=202)
        assert done.successor is not None
        return Response(issuer_seen(request, done.successor), status=201)


class IssuerRetireView(APIView):
    """The end of an issuer."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="retireIssuer", request=RetirementDocument, responses=IssuerDocument)
    def post(self, request: Request, slug: str) -> Response:
        """The issuer, retired; a conflict that says until when, while something that it signed is valid."""
        issuer, actor = seen(request, slug), caller_of(request).actor
        note = body_of(RetirementDocument, request)["note"]
        retired = services.retire_issuer(issuer=issuer.id, actor=actor, now=utc_now(), note=note)
        return Response(issuer_seen(request, retired))


class IssuerRevokeView(APIView):
    """The sudden end of an issuer."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="revokeIssuer", request=IssuerRevocationDocument, responses=IssuerDocument)
    def post(self, request: Request, slug: str) -> Response:
        """The issuer, revoked for good, and with it all below it."""
        issuer, actor = seen(request, slug), caller_of(request).actor
        body = body_of(IssuerRevocationDocument, request)
        revoked = services.revoke_issuer(
            issuer=issuer.id,
            reason=ReasonCode(body["reason"]),
            confirmed=body["confirm"],
            note=body["note"],
            actor=actor,
            now=utc_now(),
        )
        return Response(issuer_seen(request, revoked))


class CrossCertificatesView(APIView):
    """Other CAs' certificates for an issuer."""

    scopes = {"GET": "issuers:read", "POST": "issuers:sign"}

    @extend_schema(operation_id="listCrossCertificates", responses=CrossCertificateListDocument)
    def get(self, request: Request, slug: str) -> Response:
        """Every cross-certificate that is not revoked, the oldest first."""
        crosses = queries.list_cross_certificates(issuer=seen(request, slug).id)
        return Response({"results": [cross_document(cross) for cross in crosses]})

    @extend_schema(
        operation_id="crossSignIssuer",
        request=CrossSigningDocument,
        responses={201: CrossCertificateDocument, 202: ORDERED},
    )
    def post(self, request: Request, slug: str) -> Response:
        """A cross-certificate by `signer`, or the one of a CA elsewhere; what an offline signer has to sign first."""
        issuer, caller, now = seen(request, slug), caller_of(request), utc_now()
        body = body_of(CrossSigningDocument, request)
        if ("signer" in body) == bool(body["certificate"]):
            raise Invalid("Name a `signer`, or send the `certificate` that a CA elsewhere signed.")
        if body["certificate"]:
            kept = services.import_cross_certificate(
                issuer=issuer.id, certificate=body["certificate"].encode(), actor=caller.actor, now=now
            )
            return Response(cross_document(kept), status=201)
        signer = queries.find_issuer(slug=body["signer"], domains=[issuer.domain])
        validity = timedelta(days=body["validity_days"]) if "validity_days" in body else None
        return _signed(request, issuer, signer, validity)


def _signed(request: Request, issuer: Issuer, signer: Issuer, validity: timedelta | None) -> Response:
    actor, now = caller_of(request).actor, utc_now()
    if signer.kind is IssuerKind.OFFLINE:
        ordered = services.order_cross_certificate(
            issuer=issuer.id, signer=signer.id, validity=validity, actor=actor, now=now
        )
        return Response(signing_request_document(ordered), status=202)
    cross = services.cross_sign(issuer=issuer.id, signer=signer.id, validity=validity, actor=actor, now=now)
    return Response(cross_document(cross), status=201)


class CrossRequestView(APIView):
    """Asking a CA elsewhere for a cross-certificate."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="requestCrossCertificate", request=NothingDocument, responses=CrossRequestDocument)
    def post(self, request: Request, slug: str) -> Response:
        """The PKCS#10 request for the issuer's own name and key; it is signed anew each time, and not kept."""
        issuer = seen(request, slug)
        body_of(NothingDocument, request)
        return Response({"request": services.cross_request(issuer=issuer.id)})
