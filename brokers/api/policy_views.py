"""/api/v1/policy/explain/ and /api/v1/policy/who-can/"""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl.core.values import Action
from brokers import services
from brokers.api.serializers import (
    ExplanationDocument,
    QuestionDocument,
    WhoCanAnswerDocument,
    WhoCanDocument,
    explanation_document,
    request_of,
    who_can_document,
)
from devices import queries as devices
from devices.core.values import DeviceId
from kernel.api.documents import caller_of
from kernel.core.clock import utc_now


class ExplainView(APIView):
    """May this device, or this application, do that, and why?"""

    scopes = {"POST": "policy:read"}

    @extend_schema(operation_id="explainPolicy", request=QuestionDocument, responses=ExplanationDocument)
    def post(self, request: Request) -> Response:
        """The verdict, its reasons, and what each broker makes of it."""
        body = QuestionDocument(data=request.data)
        body.is_valid(raise_exception=True)
        domains = list(caller_of(request).domain_ids)
        asked = body.validated_data
        device = (
            devices.get_device(device=DeviceId(asked["device"]), domains=domains)
            if "device" in asked
            else devices.get_application(application=DeviceId(asked["application"]), domains=domains)
        )
        found = services.explain_request(device=device.id, request=request_of(body.validated_data), now=utc_now())
        return Response(explanation_document(found))


class WhoCanView(APIView):
    """Who may do that?"""

    scopes = {"POST": "policy:read"}

    @extend_schema(operation_id="whoCan", request=WhoCanDocument, responses=WhoCanAnswerDocument)
    def post(self, request: Request) -> Response:
        """Some of the devices and applications that may, how many there are, and what lets them."""
        caller = caller_of(request)
        body = WhoCanDocument(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data.get("domain")
        found = services.who_can(
            domains=[caller.domain(wanted)] if wanted else list(caller.domain_ids),
            action=Action(body.validated_data["action"]),
            topic=body.validated_data["topic"],
            qos=body.validated_data["qos"],
            retain=body.validated_data["retain"],
            now=utc_now(),
        )
        return Response(who_can_document(found))
