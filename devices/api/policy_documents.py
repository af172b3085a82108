"""/api/v1/domains/<slug>/policy/ and /api/v1/policy/schema/: the policy of a domain as one document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.generic import View
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices.core.policy_json import policy_json, schema_text
from devices.core.policy_yaml import digest, to_yaml
from devices.queries.policy import policy_document
from kernel.api.documents import caller_of


class YamlRenderer(BaseRenderer):
    """Text that is YAML already (RFC 9512); a fault is JSON, which is YAML as well."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """The octets of the body."""
        del accepted_media_type, renderer_context
        return (data if isinstance(data, str) else json.dumps(data)).encode()


class PolicyDocumentView(APIView):
    """The policy in force."""

    scopes = {"GET": "policy:read"}
    renderer_classes = [JSONRenderer, YamlRenderer]

    @extend_schema(
        operation_id="getPolicyDocument",
        responses={(200, "application/json"): OpenApiTypes.OBJECT, (200, "application/yaml"): OpenApiTypes.STR},
    )
    def get(self, request: Request, domain: str) -> Response:
        """All roles and bindings of the domain, as JSON or YAML; its ETag changes with any of them."""
        found = policy_document(domain=caller_of(request).domain(domain))
        wants_yaml = request.accepted_renderer is not None and request.accepted_renderer.format == "yaml"
        body = to_yaml(found) if wants_yaml else policy_json(found)
        return Response(body, headers={"ETag": f'"{digest(found)}"', "Vary": "Accept"})


class PolicySchemaView(View):
    """GET /api/v1/policy/schema/: the JSON Schema of policy documents, open to all."""

    def get(self, _request: HttpRequest) -> HttpResponse:
        """The schema."""
        return HttpResponse(schema_text(), content_type="application/schema+json")
