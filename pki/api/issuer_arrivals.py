"""/api/v1/issuers/: CAs that were made elsewhere, and those that one elsewhere certifies."""

from __future__ import annotations

import base64
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.core.clock import utc_now
from kernel.core.errors import FieldError, Invalid
from kernel.core.pages import page
from pki import queries, services
from pki.api.issuer_bodies import (
    ImportedIssuerDocument,
    InstalledIssuerDocument,
    NewRequestDocument,
    TrustedIssuerDocument,
)
from pki.api.issuer_documents import (
    IssuerDocument,
    IssuerRequestDocument,
    IssuerRequestListDocument,
    issuer_request_document,
)
from pki.api.issuers import issuer_seen
from pki.core.issuer_values import IssuerRequest
from pki.core.values import Custody, Issuer, KeyAlgorithm

_OF_A_KEY_HERE = ("key", "pkcs12", "passphrase", "crl_shards")


class IssuerImportView(APIView):
    """Taking a CA over."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="importIssuer", request=ImportedIssuerDocument, responses={201: IssuerDocument})
    def post(self, request: Request) -> Response:
        """The issuer, with what it revoked before; a key that was sent is kept and never shown."""
        body = body_of(ImportedIssuerDocument, request)
        return Response(issuer_seen(request, _imported(request, body)), status=201)


def _imported(request: Request, body: dict[str, Any]) -> Issuer:
    caller = caller_of(request)
    wanted: dict[str, Any] = {
        "domain": caller.domain(body.get("domain")),
        "slug": body["slug"],
        "certificate": body["certificate"].encode(),
        "chain": body["chain"].encode(),
        "crl": body["crl"].encode(),
        "actor": caller.actor,
        "now": utc_now(),
    }
    if "replaces" in body:
        wanted["replaces"] = queries.find_issuer(slug=body["replaces"], domains=[wanted["domain"]]).id
    if body["offline"]:
        _check_keyless(body)
        return services.import_offline_issuer(**wanted)
    return services.import_issuer(
        **wanted,
        key=body["key"].encode(),
        pkcs12=_from_base64(body["pkcs12"]),
        passphrase=body["passphrase"],
        custody=Custody(body["custody"]),
        crl_shards=body["crl_shards"],
    )


def _check_keyless(body: dict[str, Any]) -> None:
    """Raises Invalid if an offline issuer is told what only one whose key is here can be."""
    given = [name for name in _OF_A_KEY_HERE if body[name]]
    given += ["custody"] if body["custody"] != Custody.ENCRYPTED else []
    detail = "The key of an offline issuer stays elsewhere: leave this out."
    faults = tuple(FieldError(pointer=f"/{name}", code="issuer-offline", detail=detail) for name in given)
    if faults:
        raise Invalid(f"The key of an offline issuer stays elsewhere: leave out {' and '.join(given)}.", errors=faults)


class IssuerTrustView(APIView):
    """Believing a CA."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="trustIssuer", request=TrustedIssuerDocument, responses={201: IssuerDocument})
    def post(self, request: Request) -> Response:
        """The CA, which is in no trust bundle by itself."""
        body, caller = body_of(TrustedIssuerDocument, request), caller_of(request)
        issuer = services.trust_issuer(
            domain=caller.domain(body.get("domain")),
            slug=body["slug"],
            certificate=body["certificate"].encode(),
            actor=caller.actor,
            now=utc_now(),
        )
        return Response(issuer_seen(request, issuer), status=201)


class IssuerRequestListView(APIView):
    """CAs of ours that one elsewhere certifies."""

    scopes = {"GET": "issuers:read", "POST": "issuers:sign"}

    @extend_schema(
        operation_id="listIssuerRequests",
        parameters=[OpenApiParameter(name="domain", description="Slug of a domain: its requests only.")],
        responses=IssuerRequestListDocument,
    )
    def get(self, request: Request) -> Response:
        """Every request that waits, the oldest first."""
        caller, wanted = caller_of(request), request.query_params.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        documents = [_request_seen(request, waiting) for waiting in queries.list_issuer_requests(domains=domains)]
        return Response(page(documents, next_cursor=None, approximate_count=len(documents)))

    @extend_schema(operation_id="requestIssuer", request=NewRequestDocument, responses={201: IssuerRequestDocument})
    def post(self, request: Request) -> Response:
        """A fresh key, and the PKCS#10 request for it."""
        body, caller = body_of(NewRequestDocument, request), caller_of(request)
        domain = caller.domain(body.get("domain"))
        replaces = queries.find_issuer(slug=body["replaces"], domains=[domain]).id if "replaces" in body else None
        waiting = services.request_issuer(
            domain=domain,
            slug=body["slug"],
            common_name=body["name"],
            organization=body["organization"],
            organizational_unit=body["organizational_unit"],
            key_algorithm=KeyAlgorithm(body["key_algorithm"]),
            custody=Custody(body["custody"]),
            crl_shards=body["crl_shards"],
            path_length=body["path_length"],
            replaces=replaces,
            actor=caller.actor,
            now=utc_now(),
        )
        return Response(_request_seen(request, waiting), status=201)


class IssuerRequestView(APIView):
    """One request of an issuer."""

    scopes = {"GET": "issuers:read", "DELETE": "issuers:sign"}

    @extend_schema(operation_id="getIssuerRequest", responses=IssuerRequestDocument)
    def get(self, request: Request, issuer_request: str) -> Response:
        """The request."""
        waiting = queries.find_issuer_request(slug=issuer_request, domains=caller_of(request).domain_ids)
        return Response(_request_seen(request, waiting))

    @extend_schema(operation_id="cancelIssuerRequest", responses={204: None})
    def delete(self, request: Request, issuer_request: str) -> Response:
        """Gives it up, with its key."""
        caller = caller_of(request)
        services.cancel_issuer_request(
            slug=issuer_request, domains=caller.domain_ids, actor=caller.actor, now=utc_now()
        )
        return Response(status=204)


class InstallIssuerView(APIView):
    """The answer of the CA elsewhere."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="installIssuer", request=InstalledIssuerDocument, responses={201: IssuerDocument})
    def post(self, request: Request, issuer_request: str) -> Response:
        """The issuer that the request becomes."""
        caller = caller_of(request)
        waiting = queries.find_issuer_request(slug=issuer_request, domains=caller.domain_ids)
        body = body_of(InstalledIssuerDocument, request)
        issuer = services.install_issuer(
            slug=waiting.slug,
            certificate=body["certificate"].encode(),
            chain=body["chain"].encode(),
            domains=caller.domain_ids,
            actor=caller.actor,
            now=utc_now(),
        )
        return Response(issuer_seen(request, issuer), status=201)


def _request_seen(request: Request, waiting: IssuerRequest) -> dict[str, Any]:
    return issuer_request_document(waiting, domain_slug=caller_of(request).slug_of(waiting.domain))


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        fault = FieldError(pointer="/pkcs12", code="invalid-base64", detail="Send the PKCS#12 file in base64.")
        raise Invalid("The PKCS#12 file is not in base64.", errors=(fault,)) from error
