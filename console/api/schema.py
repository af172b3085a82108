"""The API described: OpenAPI 3.1, and a page to read it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.generic import View
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView

from console.api.openapi import operations
from console.core.roles import SCOPES


@extend_schema(exclude=True)
class SchemaView(SpectacularAPIView):
    """GET /api/v1/schema/: open to all, since it says nothing about this installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One line of the page."""

    method: str
    path: str
    name: str
    summary: str
    scope: str


class DocsView(View):
    """GET /api/v1/docs/: the schema as a page, made here, without a script and without another server."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The page."""
        schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
        sections: dict[str, list[Operation]] = {}
        for path, method, operation in operations(schema):
            sections.setdefault(operation["tags"][0], []).append(_line(path, method, operation))
        return render(request, "api/docs.html", {"sections": sections, "scopes": SCOPES})


def _line(path: str, method: str, operation: dict[str, Any]) -> Operation:
    needed = [scope for way in operation.get("security", []) for scope in way.get("oauth2", [])]
    return Operation(
        method=method.upper(),
        path=path,
        name=operation["operationId"],
        summary=operation.get("description", ""),
        scope=" ".join(needed),
    )
