"""/api/v1/certificates/revoke/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.errors import FieldError, Invalid
from pki import queries, services
from pki.api.certificates import may_sign
from pki.api.documents import RevocationDocument
from pki.core.revocation_order import RevocationFilter
from pki.core.values import IssuedCertificate, ReasonCode

_TIMES = ("issued_from", "issued_before", "ends_from", "ends_before")


class NoDigest(Invalid):
    """A revocation of many names those that were shown."""

    code = "revocation-digest"


class MatchingRevocationDocument(RevocationDocument):
    """Which certificates are revoked, and why: all that is given has to fit. Begin with `dry_run`.

    `subject` and `serial_number` are beginnings; `…_from` is inclusive, `…_before` exclusive. Certificates of CAs and
    of OCSP signers fit only if their `holder` is given, by who has the scope issuers:sign too.
    """

    domain = serializers.CharField(max_length=64, required=False)
    issuer = serializers.CharField(max_length=63, default="", allow_blank=True)
    profile = serializers.CharField(max_length=32, default="", allow_blank=True)
    holder = serializers.CharField(max_length=64, default="", allow_blank=True)
    subject = serializers.CharField(max_length=255, default="", allow_blank=True)
    serial_number = serializers.RegexField(r"^[0-9a-fA-F]*$", max_length=40, default="", allow_blank=True)
    issued_from = serializers.DateTimeField(default=None, allow_null=True)
    issued_before = serializers.DateTimeField(default=None, allow_null=True)
    ends_from = serializers.DateTimeField(default=None, allow_null=True)
    ends_before = serializers.DateTimeField(default=None, allow_null=True)
    dry_run = serializers.BooleanField(default=False)
    digest = serializers.RegexField(r"^[0-9a-f]{64}$", required=False)


class SampleDocument(serializers.Serializer[Any]):
    """One of the certificates that fit."""

    id = serializers.UUIDField()
    issuer = serializers.CharField()
    serial_number = serializers.CharField()
    holder = serializers.CharField()
    subject = serializers.CharField()
    profile = serializers.CharField()
    not_after = serializers.DateTimeField()


class MatchingCertificatesDocument(serializers.Serializer[Any]):
    """How many fit, the newest ten of them, and the `digest` that the revocation has to repeat."""

    count = serializers.IntegerField()
    sample = SampleDocument(many=True)
    digest = serializers.CharField()


class BulkRevocationDocument(serializers.Serializer[Any]):
    """How many are being revoked; see /api/v1/operations/<id>/ for how far it is."""

    count = serializers.IntegerField()
    operation = serializers.UUIDField()


class RevokeMatchingView(APIView):
    """Revoking many certificates for good."""

    scopes = {"POST": "certificates:revoke"}

    @extend_schema(
        operation_id="revokeMatchingCertificates",
        request=MatchingRevocationDocument,
        responses={200: MatchingCertificatesDocument, 202: BulkRevocationDocument},
    )
    def post(self, request: Request) -> Response:
        """What would be revoked, if `dry_run`; else the operation, if `digest` is that of what would be."""
        caller, body = caller_of(request), body_of(MatchingRevocationDocument, request)
        domain, wanted = caller.domain(body.get("domain")), _filter(body)
        with_cas = may_sign(caller, domain)
        if body["dry_run"]:
            found = queries.matching_certificates(domain=domain, wanted=wanted, with_cas=with_cas)
            sample = [_sample(certificate) for certificate in found.sample]
            return Response({"count": found.count, "sample": sample, "digest": found.digest})
        ordered = services.revoke_matching(
            domain=domain,
            wanted=wanted,
            digest=_digest(body),
            reason=ReasonCode(body["reason"]),
            invalidity_date=body["invalidity_date"],
            note=body["note"],
            actor=caller.actor,
            now=utc_now(),
            with_cas=with_cas,
        )
        return Response({"count": ordered.count, "operation": str(ordered.operation)}, status=202)


def _filter(body: dict[str, Any]) -> RevocationFilter:
    texts = {name: body[name] for name in ("issuer", "profile", "holder", "subject")}
    times = {name: body[name] for name in _TIMES}
    return RevocationFilter(**texts, **times, serial=body["serial_number"])


def _digest(body: dict[str, Any]) -> str:
    if "digest" in body:
        return str(body["digest"])
    fault = FieldError(pointer="/digest", code=NoDigest.code, detail="Give the digest of a dry run.")
    raise NoDigest("Ask with dry_run first, and repeat its digest: so none is revoked unseen.", errors=(fault,))


def _sample(certificate: IssuedCertificate) -> dict[str, Any]:
    return {
        "id": str(certificate.id),
        "issuer": certificate.issuer_slug,
        "serial_number": certificate.serial_hex,
        "holder": certificate.holder,
        "subject": certificate.subject,
        "profile": certificate.profile,
        "not_after": to_rfc3339(certificate.not_after),
    }
