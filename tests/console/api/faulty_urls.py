"""Views that go wrong in every way there is, mounted as an API."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404
from django.urls import path
from rest_framework import exceptions as drf
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import caller_of
from kernel.core import errors


class Rule(serializers.Serializer[Any]):
    topic = serializers.CharField()
    qos = serializers.ListField(child=serializers.IntegerField())


class Role(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=4)
    rules = Rule(many=True)


FAULT = errors.FieldError(pointer="/csr", code="weak-key", detail="Make a key of 2048 bits.")
RAISED: dict[str, Exception] = {
    "invalid": errors.Invalid("Send another one.", code="weak-key", errors=(FAULT,)),
    "unauthenticated": errors.Unauthenticated("Prove it."),
    "denied": errors.Denied("Not you."),
    "not-found": errors.NotFound("Nothing here."),
    "conflict": errors.Conflict("Not now.", code="already-decided"),
    "rate-limited": errors.RateLimited("Wait.", retry_after_seconds=7),
    "unavailable": errors.Unavailable("The broker does not answer: try again."),
    "http404": Http404("secret detail"),
    "permission": PermissionDenied("secret detail"),
    "suspicious": SuspiciousOperation("secret detail"),
    "bug": RuntimeError("secret detail"),
    "throttled": drf.Throttled(wait=3),
}


class Raises(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, _request: Request, kind: str) -> Response:
        raise RAISED[kind]


class Takes(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        body = Role(data=request.data)
        body.is_valid(raise_exception=True)
        return Response({})


class Undeclared(APIView):
    scopes = {"GET": "devices:read"}

    def get(self, request: Request) -> Response:
        return Response({"domains": [domain.slug for domain in caller_of(request).domains]})

    def post(self, _request: Request) -> Response:
        return Response({})


urlpatterns = [
    path("api/v1/raises/<str:kind>/", Raises.as_view()),
    path("api/v1/takes/", Takes.as_view()),
    path("api/v1/undeclared/", Undeclared.as_view()),
]
handler400 = "console.api.faults.bad_request"
handler404 = "console.api.faults.not_found"
handler500 = "console.api.faults.broken"
