"""/api/v1/brokers/<name>/passwords/"""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.views import seen
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import utc_now


class PasswordLoginsDocument(StrictDocument):
    """Whether devices may log in at the broker with their passwords."""

    taken = serializers.BooleanField()


class PasswordLoginsView(APIView):
    """Whether passwords of devices are taken at a broker."""

    scopes = {"GET": "brokers:read", "PUT": "brokers:write"}

    @extend_schema(operation_id="getPasswordLogins", responses=PasswordLoginsDocument)
    def get(self, request: Request, name: str) -> Response:
        """Whether they are."""
        return Response({"taken": bool(seen(request, name).takes_passwords)})

    @extend_schema(operation_id="setPasswordLogins", request=PasswordLoginsDocument, responses=PasswordLoginsDocument)
    def put(self, request: Request, name: str) -> Response:
        """Whether they are from now on; the broker follows by itself."""
        broker = seen(request, name)
        taken = body_of(PasswordLoginsDocument, request)["taken"]
        services.take_passwords(broker=broker.id, taken=taken, actor=caller_of(request).actor, now=utc_now())
        return Response({"taken": taken})
