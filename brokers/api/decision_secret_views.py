"""/api/v1/brokers/<name>/decision-secrets/"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import queries, services
from brokers.api.views import seen
from brokers.conf import decisions_url
from brokers.core.decide.decisions import DecisionSecretId, Identity
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import to_rfc3339, utc_now

_WORDS = (
    "shown: each login hands the client's certificate, token or password over. certificate: the broker lets nobody log "
    "in without one of these or a client certificate of the domain's CAs, and takes the username from it, so that "
    "names are believed."
)


class NewDecisionSecretDocument(StrictDocument):
    """What the broker's word on who somebody is rests on."""

    identity = serializers.ChoiceField(choices=[*Identity], default=Identity.SHOWN, help_text=_WORDS)


class DecisionSecretDocument(serializers.Serializer[Any]):
    """A secret by which the broker asks, without the secret itself."""

    id = serializers.UUIDField()
    identity = serializers.ChoiceField(choices=[*Identity], help_text=_WORDS)
    created_at = serializers.DateTimeField()


class DecisionSecretListDocument(serializers.Serializer[Any]):
    """All of a broker's; there are never many."""

    results = DecisionSecretDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


class MintedDecisionSecretDocument(serializers.Serializer[Any]):
    """A fresh secret, shown this once, and what the URLs that the broker asks begin with."""

    id = serializers.UUIDField()
    identity = serializers.ChoiceField(choices=[*Identity])
    secret = serializers.CharField()
    url = serializers.CharField()


class DecisionSecretListView(APIView):
    """The secrets by which a broker asks over HTTP."""

    scopes = {"GET": "brokers:read", "POST": "brokers:write"}

    @extend_schema(operation_id="listDecisionSecrets", responses=DecisionSecretListDocument)
    def get(self, request: Request, name: str) -> Response:
        """Every one of them, the oldest first."""
        found = queries.decision_secrets_of(broker=seen(request, name).id)
        results = [
            {"id": str(each.id), "identity": each.identity.value, "created_at": to_rfc3339(each.created_at)}
            for each in found
        ]
        return Response({"results": results, "next": None, "approximate_count": len(results)})

    @extend_schema(
        operation_id="mintDecisionSecret",
        request=NewDecisionSecretDocument,
        responses={201: MintedDecisionSecretDocument},
    )
    def post(self, request: Request, name: str) -> Response:
        """The fresh secret; those there are stay good beside it."""
        broker = seen(request, name)
        identity = Identity(body_of(NewDecisionSecretDocument, request)["identity"])
        minted = services.mint_decision_secret(
            broker=broker.id, identity=identity, actor=caller_of(request).actor, now=utc_now()
        )
        document = {
            "id": str(minted.id),
            "identity": identity.value,
            "secret": minted.secret,
            "url": decisions_url(broker.id),
        }
        return Response(document, status=201, headers={"Cache-Control": "no-store"})


class DecisionSecretView(APIView):
    """One of them."""

    scopes = {"DELETE": "brokers:write"}

    @extend_schema(operation_id="revokeDecisionSecret", responses={204: None})
    def delete(self, request: Request, name: str, decision_secret: UUID) -> Response:
        """Nothing; whoever asks with it is refused within a second."""
        broker, secret = seen(request, name), DecisionSecretId(decision_secret)
        services.revoke_decision_secret(broker=broker.id, secret=secret, actor=caller_of(request).actor, now=utc_now())
        return Response(status=204)
