"""/api/v1/devices/<id>/rules/: the rules that one device has alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl.api.serializers import RuleDocument, rule_specs
from acl.core.documents import rule_document
from devices import queries
from devices.core.values import Device, DeviceId
from devices.queries.device_rules import DeviceRules, device_rules
from devices.services.device_rules import set_device_rules
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.api.if_match import if_match_on, required_digest, tag_of
from kernel.core.caller import Caller
from kernel.core.clock import utc_now
from kernel.core.errors import Denied


class NoBinding(Denied):
    """Who gives rules to a device writes a role and binds it."""

    code = "insufficient-scope"


class DeviceRulesDocument(StrictDocument):
    """The rules that the device has alone, beside those of its roles; none if the list is empty."""

    rules = RuleDocument(many=True)


class DeviceRulesView(APIView):
    """The rules that one device has alone. To write them takes the scope bindings:write as well."""

    scopes = {"GET": "roles:read", "PUT": "roles:write"}

    @extend_schema(operation_id="getDeviceRules", responses=DeviceRulesDocument)
    def get(self, request: Request, device: UUID) -> Response:
        """The rules, with their ETag."""
        found = _seen(caller_of(request), device)
        return _answer(device_rules(domain=found.domain, name=found.name))

    @extend_schema(
        operation_id="setDeviceRules",
        parameters=[if_match_on("rules", required=True)],
        request=DeviceRulesDocument,
        responses=DeviceRulesDocument,
    )
    def put(self, request: Request, device: UUID) -> Response:
        """The rules as they are now."""
        caller = caller_of(request)
        found = _seen(caller, device)
        if not caller.within("bindings:write").may_see(found.domain):
            raise NoBinding("This needs the scope bindings:write as well, which this caller does not have here.")
        body: dict[str, Any] = body_of(DeviceRulesDocument, request)
        rules = set_device_rules(
            device=found.id,
            rules=rule_specs(body["rules"]),
            expected_digest=required_digest(request),
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer(rules)


def _seen(caller: Caller, device: UUID) -> Device:
    return queries.get_device(device=DeviceId(device), domains=caller.domain_ids)


def _answer(found: DeviceRules) -> Response:
    return Response({"rules": [rule_document(rule) for rule in found.rules]}, headers=tag_of(found.digest))
