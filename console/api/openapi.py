"""What the OpenAPI document says of every operation: its scope, its tag, and problem documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import Serializer

from console.core.roles import SCOPES

_OF_DEVICES: dict[str, dict[str, str]] = {
    "enrolmentToken": {"type": "http", "scheme": "bearer", "description": "An enrolment token, `<id>.<secret>`."},
    "proof": {
        "type": "http",
        "scheme": "Proof",
        "description": "A compact JWS signed by the current key, its header x5c the certificate; or mutual TLS.",
    },
}
_METHODS = ("get", "post", "put", "patch", "delete")


class Schema(AutoSchema):
    """Adds what is the same everywhere: the scope that a method needs, and problem documents."""

    def get_auth(self) -> list[dict[str, list[str]]]:
        """OAuth with the scope that the view declares, or an operator's session; the view's own way if it has one."""
        found: list[dict[str, list[str]]] = super().get_auth()  # registers the security schemes, too
        scope = getattr(self.view, "scopes", {}).get(self.method)
        return found if scope is None else [{"oauth2": [scope]}, {"session": []}]

    def get_serializer_name(self, serializer: Serializer[Any], direction: str) -> str:
        """The name of its component: the app's before the document's, since apps do not know each other's names."""
        del direction
        document = type(serializer)
        return document.__module__.partition(".")[0].capitalize() + document.__name__.removesuffix("Document")

    def get_tags(self) -> list[str]:
        """The noun after /api/v1/."""
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes BearerAuthentication."""

    target_class = "console.api.authentication.BearerAuthentication"
    name = "oauth2"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """The security scheme."""
        del auto_schema
        return {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/oauth/token/", "scopes": {**SCOPES}}}}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes SessionAuthentication."""

    target_class = "console.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """The security scheme."""
        del auto_schema
        return {"type": "apiKey", "in": "cookie", "name": "gatehouse_session"}


def add_problems(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
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
    result["components"].setdefault("securitySchemes", {}).update(_OF_DEVICES)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    _inline_enums(result)
    for _, _, operation in operations(result):
        if any(each["name"] == "If-Match" and each.get("required") for each in operation.get("parameters", ())):
            operation["responses"]["428"] = {"description": "If-Match is missing.", "content": content}
        operation["responses"].setdefault("default", {"description": "A problem document.", "content": content})
        ways = operation.get("security", [])  # a view that names its own way does so in one word
        operation["security"] = [{way: []} if isinstance(way, str) else way for way in ways]
    return result


def _inline_enums(node: Any) -> None:
    """Takes out the marks by which drf-spectacular would give names to enumerations: they stay where they are used."""
    if isinstance(node, dict):
        node.pop("x-spec-enum-id", None)
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _inline_enums(inner)


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of each that the document has."""
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]
