"""The API described: OpenAPI 3.1, and a page to read it on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.generic import View
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView

from console.core.roles import SCOPES

_METHODS = ("get", "post", "put", "patch", "delete")


class Schema(AutoSchema):  # type: ignore[misc]
    """Adds what is the same everywhere: the scope that a method needs, and problem documents."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        """OAuth with the scope that the view declares, or an operator's session; the view's own way if it has one."""
        scope = getattr(self.view, "scopes", {}).get(self.method)
        if scope is None:
            found: list[dict[str, list[str]]] = super().get_auth()
            return found
        return [{"oauth2": [scope]}, {"session": []}]

    def get_tags(self) -> list[str]:
        """The noun after /api/v1/."""
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[misc, no-untyped-call]
    """Describes BearerAuthentication."""

    target_class = "console.api.authentication.BearerAuthentication"
    name = "oauth2"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """The security scheme."""
        del auto_schema
        return {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/oauth/token/", "scopes": {**SCOPES}}}}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[misc, no-untyped-call]
    """Describes SessionAuthentication."""

    target_class = "console.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """The security scheme."""
        del auto_schema
        return {"type": "apiKey", "in": "cookie", "name": "gatehouse_session"}


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The schema with a problem document as the answer to whatever goes wrong. A hook of drf-spectacular."""
    fault = {"type": "object", "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")}}
    texts = ("type", "title", "detail", "code", "instance", "request_id")
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = {
        "type": "object",
        "description": "What went wrong, and what to do (RFC 9457).",
        "properties": {
            **{name: {"type": "string"} for name in texts},
            "status": {"type": "integer"},
            "errors": {"type": "array", "items": fault},
        },
        "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    }
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for _, _, operation in _operations(result):
        operation["responses"].setdefault("default", {"description": "A problem document.", "content": content})
    return result


@extend_schema(exclude=True)
class SchemaView(SpectacularAPIView):  # type: ignore[misc]
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
        for path, method, operation in _operations(schema):
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


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]
