"""/api/v1/certificates/"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.core import cursor
from kernel.core.caller import Caller
from kernel.core.clock import utc_now
from kernel.core.errors import Denied, FieldError, Invalid
from kernel.core.ids import DomainId, EntryId
from kernel.core.pages import limit_of, page_of
from pki import queries, services
from pki.api.documents import (
    CertificateDocument,
    CertificateListDocument,
    CertificateNoteDocument,
    ChangedCertificateDocument,
    RevocationDocument,
    certificate_document,
)
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, ReasonCode
from pki.queries.matching import speaks_for_ca

_FILTERS = ("holder", "issuer", "state", "profile")
_PARAMETERS = frozenset({*_FILTERS, "domain", "serial_number", "limit", "cursor"})
SIGN = "issuers:sign"
_HEX = re.compile(r"[0-9a-fA-F]{0,40}")


class UnknownParameter(Invalid):
    """A list is narrowed by something that there is not."""

    code = "unknown-parameter"


class MayNotSign(Denied):
    """Taking a CA's or an OCSP signer's certificate out of trust needs what making one does."""

    code = "insufficient-scope"


class CertificateListView(APIView):
    """The certificates that the caller may see."""

    scopes = {"GET": "certificates:read"}

    @extend_schema(
        operation_id="listCertificates",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its certificates only."),
            OpenApiParameter(name="holder", description="Those of this holder, such as `device:<id>`."),
            OpenApiParameter(name="issuer", description="Those of the issuer with this slug."),
            OpenApiParameter(name="state", enum=[*CertificateState], description="Those in this state."),
            OpenApiParameter(name="profile", description="Those of this profile."),
            OpenApiParameter(name="serial_number", description="Those whose serial number, in hex, begins so."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=CertificateListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of certificates, the newest first."""
        caller, asked = caller_of(request), request.query_params
        _check_known(asked)
        limit, wanted = limit_of(asked), asked.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        narrowed: dict[str, Any] = {name: asked.get(name, "") for name in _FILTERS} | {"serial": _serial(asked)}
        before = cursor.decode_id(asked.get("cursor"), CertificateId)
        found = page_of(
            queries.list_certificates(domains=domains, before=before, limit=limit + 1, **narrowed),
            limit=limit,
            place=lambda certificate: [str(certificate.id)],
            document=lambda certificate: _document(certificate, request),
            approximate_count=queries.count_certificates(domains=domains, **narrowed),
        )
        return Response(found)


class CertificateView(APIView):
    """One certificate."""

    scopes = {"GET": "certificates:read"}

    @extend_schema(operation_id="getCertificate", responses=CertificateDocument)
    def get(self, request: Request, certificate: UUID) -> Response:
        """The certificate."""
        return Response(_document(_seen(request, certificate), request))


class RevokeView(APIView):
    """Revoking one certificate for good."""

    scopes = {"POST": "certificates:revoke"}

    @extend_schema(
        operation_id="revokeCertificate", request=RevocationDocument, responses={202: ChangedCertificateDocument}
    )
    def post(self, request: Request, certificate: UUID) -> Response:
        """The certificate, revoked now or before."""
        seen = _changeable(request, certificate)
        body = body_of(RevocationDocument, request)
        revocation = services.revoke_certificate(
            certificate=seen.id,
            reason=ReasonCode(body["reason"]),
            invalidity_date=body["invalidity_date"],
            note=body["note"],
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _changed(seen, revocation.operation, request)


class HoldView(APIView):
    """Putting one certificate on hold."""

    scopes = {"POST": "certificates:revoke"}

    @extend_schema(
        operation_id="holdCertificate", request=CertificateNoteDocument, responses={202: ChangedCertificateDocument}
    )
    def post(self, request: Request, certificate: UUID) -> Response:
        """The certificate, on hold until it is released."""
        seen = _changeable(request, certificate)
        note = body_of(CertificateNoteDocument, request)["note"]
        actor = caller_of(request).actor
        revocation = services.hold_certificate(certificate=seen.id, actor=actor, now=utc_now(), note=note)
        return _changed(seen, revocation.operation, request)


class ReleaseView(APIView):
    """Taking one certificate off hold."""

    scopes = {"POST": "certificates:revoke"}

    @extend_schema(
        operation_id="releaseCertificate", request=CertificateNoteDocument, responses={202: ChangedCertificateDocument}
    )
    def post(self, request: Request, certificate: UUID) -> Response:
        """The certificate, good again."""
        seen = _changeable(request, certificate)
        note = body_of(CertificateNoteDocument, request)["note"]
        actor = caller_of(request).actor
        operation = services.release_certificate(certificate=seen.id, actor=actor, now=utc_now(), note=note)
        return _changed(seen, operation, request)


def may_sign(caller: Caller, domain: DomainId) -> bool:
    """Whether the caller may make issuers in the domain, and so may take them out of trust."""
    return caller.within(SIGN).may_see(domain)


def _seen(request: Request, certificate: UUID) -> IssuedCertificate:
    return queries.get_certificate(id=CertificateId(certificate), domains=caller_of(request).domain_ids)


def _changeable(request: Request, certificate: UUID) -> IssuedCertificate:
    """The certificate. Raises UnknownCertificate, and MayNotSign for a CA's or an OCSP signer's."""
    seen = _seen(request, certificate)
    if speaks_for_ca(seen.holder) and not may_sign(caller_of(request), seen.domain):
        raise MayNotSign(f"A certificate of {seen.holder} needs the scope {SIGN} too, which this caller lacks.")
    return seen


def _document(certificate: IssuedCertificate, request: Request) -> dict[str, Any]:
    return certificate_document(certificate, domain_slug=caller_of(request).slug_of(certificate.domain))


def _changed(seen: IssuedCertificate, operation: EntryId, request: Request) -> Response:
    document = _document(queries.get_certificate(id=seen.id), request)
    return Response({**document, "operation": str(operation)}, status=202)


def _check_known(asked: Mapping[str, str]) -> None:
    """Raises UnknownParameter: a misspelt filter would show more than was asked for."""
    for name in asked:
        if name not in _PARAMETERS:
            known = ", ".join(sorted(_PARAMETERS))
            fault = FieldError(pointer=f"/{name[:64]}", code=UnknownParameter.code, detail=f"There are {known}.")
            raise UnknownParameter(f"There is no parameter {name[:64]!r}: there are {known}.", errors=(fault,))
    state = asked.get("state", "")
    if state and state not in set(CertificateState):
        fault = FieldError(pointer="/state", code="invalid-state", detail=f"Give one of {', '.join(CertificateState)}.")
        raise Invalid(f"No certificate is ever {state[:32]!r}.", errors=(fault,))


def _serial(asked: Any) -> str:
    text: str = asked.get("serial_number", "").replace(":", "")
    if _HEX.fullmatch(text):
        return text
    fault = FieldError(pointer="/serial_number", code="invalid-serial-number", detail="Give 1 to 40 hex digits.")
    raise Invalid("The parameter serial_number is the beginning of one, in hex.", errors=(fault,))
