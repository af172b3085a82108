"""/api/v1/brokers/<name>/on-drift/ and /adoption/: what becomes of a change made on a broker by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from acl.core.values import Action
from brokers import services
from brokers.api.views import seen
from brokers.core.values import OnDrift
from devices.core.policy_json import rule_json
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import utc_now


class OnDriftDocument(StrictDocument):
    """What becomes of a change made by hand: corrected after two minutes, or left until somebody chooses."""

    on_drift = serializers.ChoiceField(choices=[*OnDrift])


class AdoptedDocument(serializers.Serializer[Any]):
    """The rules that a device would have alone, those that it has already among them."""

    device = serializers.CharField()
    auth_id = serializers.CharField()
    rules = serializers.ListField(child=serializers.DictField())


class LeftDocument(serializers.Serializer[Any]):
    """A difference that stays to be corrected. `has`: the broker allows it, and the policy does not."""

    auth_id = serializers.CharField()
    action = serializers.ChoiceField(choices=[*Action])
    filter = serializers.CharField()
    has = serializers.BooleanField()
    why = serializers.CharField()


class AdoptionDocument(serializers.Serializer[Any]):
    """What of a broker becomes policy by a draft; `change` is null where none was made."""

    change = serializers.UUIDField(allow_null=True)
    adopted = AdoptedDocument(many=True)
    left = LeftDocument(many=True)


class OnDriftView(APIView):
    """What becomes of changes that somebody makes on a broker by hand."""

    scopes = {"GET": "brokers:read", "PUT": "brokers:write"}

    @extend_schema(operation_id="getOnDrift", responses=OnDriftDocument)
    def get(self, request: Request, name: str) -> Response:
        """What becomes of them."""
        return Response({"on_drift": seen(request, name).on_drift.value})

    @extend_schema(operation_id="setOnDrift", request=OnDriftDocument, responses=OnDriftDocument)
    def put(self, request: Request, name: str) -> Response:
        """What becomes of them from now on. A device that is shut out is corrected in any case."""
        broker, chosen = seen(request, name), OnDrift(body_of(OnDriftDocument, request)["on_drift"])
        services.choose_on_drift(broker=broker.id, on_drift=chosen, actor=caller_of(request).actor, now=utc_now())
        return Response({"on_drift": chosen.value})


class AdoptionView(APIView):
    """What a broker holds otherwise than the policy, as policy."""

    scopes = {"GET": "brokers:read", "POST": "policy:write"}

    @extend_schema(operation_id="previewAdoption", responses=AdoptionDocument)
    def get(self, request: Request, name: str) -> Response:
        """What could be adopted now; the broker is asked, and nothing changes."""
        return Response(_document(services.adoption_of(broker=seen(request, name).id, now=utc_now()), change=None))

    @extend_schema(operation_id="adoptDrift", request=None, responses={201: AdoptionDocument})
    def post(self, request: Request, name: str) -> Response:
        """The draft of a policy change that says what the broker holds; nothing of it is in force yet."""
        broker = seen(request, name)
        change, adoption = services.adopt_drift(broker=broker.id, actor=caller_of(request).actor, now=utc_now())
        return Response(_document(adoption, change=str(change.id)), status=201)


def _document(adoption: services.Adoption, *, change: str | None) -> dict[str, Any]:
    return {
        "change": change,
        "adopted": [
            {"device": one.name, "auth_id": one.auth_id, "rules": list(map(rule_json, one.rules))}
            for one in adoption.rules
        ],
        "left": [asdict(each) for each in adoption.left],
    }
