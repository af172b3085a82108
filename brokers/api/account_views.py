"""/api/v1/brokers/<name>/known-accounts/"""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.serializers import BrokerDocument, broker_document
from brokers.api.views import seen
from brokers.services.accounts import MOST_KNOWN
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import utc_now


def _names() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(trim_whitespace=False), max_length=MOST_KNOWN, default=list
    )


class KnownAccountsDocument(StrictDocument):
    """Names of accounts on the broker that are known from now on, and of those that are no more."""

    add = _names()
    remove = _names()


class KnownAccountsView(APIView):
    """Accounts on a broker that Gatehouse did not make and that operators know."""

    scopes = {"PATCH": "brokers:write"}

    @extend_schema(operation_id="acknowledgeAccounts", request=KnownAccountsDocument, responses=BrokerDocument)
    def patch(self, request: Request, name: str) -> Response:
        """The broker: accounts that are known are no finding."""
        broker, body = seen(request, name), body_of(KnownAccountsDocument, request)
        changed = services.acknowledge_accounts(
            broker=broker.id,
            add=body["add"],
            remove=body["remove"],
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return Response(broker_document(changed))
