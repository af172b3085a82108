"""/api/v1/access-log/: who connected, who was refused or denied; and its daily files."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import queries
from brokers.core.access.lines import line_document
from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.values import AccessKind
from brokers.queries import LogFilter
from devices.core.values import DeviceId
from kernel.api.documents import caller_of
from kernel.core import cursor
from kernel.core.errors import FieldError, Invalid
from kernel.core.ids import parse_id
from kernel.core.pages import limit_of, page, page_of

_Word = TypeVar("_Word", bound=StrEnum)


class LineDocument(serializers.Serializer[Any]):
    """One line of the access log; null or empty where the broker did not say. Names are as the broker gave them."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    broker = serializers.CharField()
    device = serializers.UUIDField(allow_null=True)
    auth_id = serializers.CharField()
    client_id = serializers.CharField()
    kind = serializers.ChoiceField(choices=[*AccessKind])
    action = serializers.ChoiceField(choices=[*AccessAction], allow_null=True)
    topic = serializers.CharField()
    qos = serializers.IntegerField(allow_null=True)
    reason = serializers.ChoiceField(choices=[*AccessReason], allow_null=True)
    ungraceful = serializers.BooleanField(allow_null=True, help_text="It ended without a DISCONNECT; null: not told.")
    address = serializers.CharField()
    detail = serializers.CharField()


class LineListDocument(serializers.Serializer[Any]):
    """A page of the access log, the newest line first."""

    results = LineDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField(help_text="At most 10000.")


class AccessFileDocument(serializers.Serializer[Any]):
    """The access log of one whole day (UTC): gzipped JSON lines."""

    domain = serializers.CharField()
    day = serializers.DateField()
    octets = serializers.IntegerField()


class AccessFileListDocument(serializers.Serializer[Any]):
    """The files of one domain, the newest first; all of them, since there is one a day."""

    results = AccessFileDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


_DOMAIN = OpenApiParameter(name="domain", description="Slug of a domain.")


class AccessLogView(APIView):
    """The access log of the caller's domains."""

    scopes = {"GET": "access-log:read"}

    @extend_schema(
        operation_id="listAccessLog",
        parameters=[
            _DOMAIN,
            OpenApiParameter(name="device", type=OpenApiTypes.UUID, description="Lines about this device only."),
            OpenApiParameter(name="broker", description="Lines of the broker of this name only."),
            OpenApiParameter(name="kind", description=f"One of {', '.join(AccessKind)}."),
            OpenApiParameter(name="action", description=f"One of {', '.join(AccessAction)}."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=LineListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of lines, the newest first."""
        caller, asked = caller_of(request), request.query_params
        domains = [caller.domain(asked["domain"])] if asked.get("domain") else list(caller.domain_ids)
        narrowed, limit = _narrowed(request), limit_of(asked)
        before = cursor.decode_number(asked.get("cursor"))
        found = page_of(
            queries.list_events(domains=domains, narrowed=narrowed, before=before, limit=limit + 1),
            limit=limit,
            place=lambda line: [line.id],
            document=line_document,
            approximate_count=queries.count_events(domains=domains, narrowed=narrowed),
        )
        return Response(found)


class AccessFileListView(APIView):
    """The daily files of a domain."""

    scopes = {"GET": "access-log:read"}

    @extend_schema(operation_id="listAccessFiles", parameters=[_DOMAIN], responses=AccessFileListDocument)
    def get(self, request: Request) -> Response:
        """The files, the newest first."""
        caller = caller_of(request)
        slug = caller.slug_of(caller.domain(request.query_params.get("domain")))
        found = queries.list_access_files(domain=slug)
        documents = [{"domain": slug, "day": each.day, "octets": each.octets} for each in found]
        return Response(page(documents, next_cursor=None, approximate_count=len(found)))


class AccessFileView(APIView):
    """One daily file."""

    scopes = {"GET": "access-log:read"}

    @extend_schema(operation_id="getAccessFile", responses={(200, "application/gzip"): OpenApiTypes.BINARY})
    def get(self, request: Request, domain: str, day: str) -> StreamingHttpResponse:
        """The file as it is."""
        caller = caller_of(request)
        slug = caller.slug_of(caller.domain(domain))
        file = queries.find_access_file(domain=slug, day=day)
        headers = {"Content-Length": str(file.octets), "Content-Disposition": f'attachment; filename="{file.name}"'}
        return StreamingHttpResponse(queries.read_access_file(file), content_type="application/gzip", headers=headers)


def _narrowed(request: Request) -> LogFilter:
    asked = request.query_params
    device = asked.get("device")
    return LogFilter(
        device=DeviceId(parse_id(device, what="device")) if device else None,
        broker=asked.get("broker") or None,
        kind=_word(asked.get("kind"), AccessKind, "kind"),
        action=_word(asked.get("action"), AccessAction, "action"),
    )


def _word(text: str | None, words: type[_Word], name: str) -> _Word | None:
    if not text:
        return None
    if text not in set(words):
        detail = f"Give one of {', '.join(words)}."
        fault = FieldError(pointer=f"/{name}", code=f"invalid-{name}", detail=detail)
        raise Invalid(f"The parameter {name} is one of {', '.join(words)}.", errors=(fault,))
    return words(text)
