"""/api/v1/findings/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console.api.serializers import SubjectDocument
from console.findings import open_findings
from kernel.api.documents import caller_of
from kernel.core import cursor
from kernel.core.caller import Caller
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.cursor import WrongCursor
from kernel.core.errors import FieldError, Invalid
from kernel.core.findings import Finding, Severity
from kernel.core.pages import limit_of, page_of


class FindingDocument(serializers.Serializer[Any]):
    """Something that needs attention. `id` stays the same for as long as the same is the matter."""

    id = serializers.CharField()
    code = serializers.CharField(help_text="What is the matter, in kebab-case; each code has one severity.")
    severity = serializers.ChoiceField(choices=[severity.value for severity in Severity])
    domain = serializers.CharField(allow_null=True, help_text="null: the installation.")
    subject = SubjectDocument()
    detail = serializers.CharField()
    remedy = serializers.CharField(help_text="What to do.")
    since = serializers.DateTimeField(allow_null=True)


class FindingListDocument(serializers.Serializer[Any]):
    """A page of findings, the worst first."""

    results = FindingDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class FindingListView(APIView):
    """What needs attention in the caller's domains, and about the installation."""

    scopes = {"GET": "findings:read"}

    @extend_schema(
        operation_id="listFindings",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its findings and the installation's only."),
            OpenApiParameter(name="severity", description="One of critical, error, warning, info."),
            OpenApiParameter(name="code", description="Findings of that code only."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=FindingListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of open findings, the worst first."""
        caller, limit, asked = caller_of(request), limit_of(request.query_params), request.query_params
        wanted, severity, code = asked.get("domain"), _severity(asked.get("severity")), asked.get("code")
        after = _place(asked.get("cursor"))
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        every = [
            finding
            for finding in open_findings(domains=domains, now=utc_now())
            if severity in {None, finding.severity} and code in {None, "", finding.code}
        ]
        found = page_of(
            [finding for finding in every if after is None or finding.order > after],
            limit=limit,
            place=lambda finding: finding.order,
            document=lambda finding: _document(finding, caller),
            approximate_count=len(every),
        )
        return Response(found)


def _document(finding: Finding, caller: Caller) -> dict[str, Any]:
    subject = finding.subject
    return {
        "id": finding.id,
        "code": finding.code,
        "severity": finding.severity.value,
        "domain": caller.slug_of(finding.domain) if finding.domain else None,
        "subject": {"kind": subject.kind, "id": subject.id, "label": subject.label},
        "detail": finding.detail,
        "remedy": finding.remedy,
        "since": to_rfc3339(finding.since) if finding.since else None,
    }


def _severity(text: str | None) -> Severity | None:
    if not text:
        return None
    try:
        return Severity(text)
    except ValueError as error:
        words = ", ".join(severity.value for severity in Severity)
        fault = FieldError(pointer="/severity", code="invalid-severity", detail=f"Give one of {words}.")
        raise Invalid(f"The parameter severity is one of {words}.", errors=(fault,)) from error


def _place(text: str | None) -> tuple[int, str, str] | None:
    if not text:
        return None
    match cursor.decode(text):
        case [int(rank), str(code), str(id)]:
            return rank, code, id
    raise WrongCursor("The cursor is none of ours: begin again without one.")
