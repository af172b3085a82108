"""/api/v1/domains/ and device-types/: how the fleet is ordered."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import queries, services
from devices.api.policy_change_documents import ApprovalRuleDocument
from devices.core.policy_changes import ApprovalRule
from devices.queries.policy_changes import approval_rule_of
from devices.services.policy_changes import set_policy_approval
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import utc_now
from kernel.core.pages import page


class DomainDocument(StrictDocument):
    """A protected partition of the fleet."""

    id = serializers.UUIDField(read_only=True)
    slug = serializers.CharField(max_length=63)
    name = serializers.CharField(max_length=128, default="")


class DeviceTypeDocument(StrictDocument):
    """A kind of device; `schema` is like `{"site": {"type": "string", "required": false, "choices": []}}`.

    An attribute with `"operators_only": true` is told by no device that enrols, except as it is registered.
    """

    id = serializers.UUIDField(read_only=True)
    domain = serializers.CharField(required=False)
    name = serializers.CharField(max_length=64)
    schema = serializers.DictField(default=dict)


class DomainListView(APIView):
    """The domains that the caller may enter."""

    scopes = {"GET": "domains:read", "POST": "domains:write"}

    @extend_schema(operation_id="listDomains", responses=DomainDocument(many=True))
    def get(self, request: Request) -> Response:
        """Every one of them."""
        caller = caller_of(request)
        found = [domain for domain in queries.list_domains() if caller.may_see(domain.id)]
        results = [{"id": str(domain.id), "slug": domain.slug, "name": domain.name} for domain in found]
        return Response(page(results, next_cursor=None, approximate_count=len(results)))

    @extend_schema(operation_id="createDomain", request=DomainDocument, responses={201: DomainDocument})
    def post(self, request: Request) -> Response:
        """The new domain."""
        body = body_of(DomainDocument, request)
        domain = services.create_domain(
            slug=body["slug"], name=body["name"], actor=caller_of(request).actor, now=utc_now()
        )
        return Response({"id": str(domain.id), "slug": domain.slug, "name": domain.name}, status=201)


class PolicyApprovalView(APIView):
    """Whose eyes a change of a domain's policy needs: `none` but the author's own, or an `other-operator`'s."""

    scopes = {"GET": "domains:read", "PUT": "domains:write"}

    @extend_schema(operation_id="getPolicyApproval", responses=ApprovalRuleDocument)
    def get(self, request: Request, domain: str) -> Response:
        """The rule."""
        rule = approval_rule_of(domain=caller_of(request).domain(domain))
        return Response({"policy_approval": rule.value})

    @extend_schema(operation_id="setPolicyApproval", request=ApprovalRuleDocument, responses=ApprovalRuleDocument)
    def put(self, request: Request, domain: str) -> Response:
        """The rule as it is now. Only an owner who is signed in to the console sets it, and no program."""
        caller = caller_of(request)
        found = caller.domain(domain)
        rule = ApprovalRule(body_of(ApprovalRuleDocument, request)["policy_approval"])
        set_policy_approval(domain=found, rule=rule, actor=caller.actor, now=utc_now())
        return Response({"policy_approval": rule.value})


class DeviceTypeListView(APIView):
    """The device types that the caller may see."""

    scopes = {"GET": "device-types:read", "POST": "device-types:write"}

    @extend_schema(operation_id="listDeviceTypes", responses=DeviceTypeDocument(many=True))
    def get(self, request: Request) -> Response:
        """Every one of them."""
        found = queries.list_device_types(domains=caller_of(request).domain_ids)
        results = [
            {"id": id, "domain": domain, "name": name, "schema": dict(schema)} for id, domain, name, schema in found
        ]
        return Response(page(results, next_cursor=None, approximate_count=len(results)))

    @extend_schema(operation_id="createDeviceType", request=DeviceTypeDocument, responses={201: DeviceTypeDocument})
    def post(self, request: Request) -> Response:
        """The new device type."""
        caller = caller_of(request)
        body = body_of(DeviceTypeDocument, request)
        domain = caller.domain(body.get("domain"))
        made = services.create_device_type(
            domain=domain, name=body["name"], schema=body["schema"], actor=caller.actor, now=utc_now()
        )
        document = {"id": str(made), "domain": caller.slug_of(domain), "name": body["name"], "schema": body["schema"]}
        return Response(document, status=201)
