"""/api/v1/token-keys/: the keys that sign access tokens, which are those of every domain."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import queries, services
from brokers.core.token_keys import TokenKey, state_of
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.pages import page


class TokenKeyDocument(serializers.Serializer[Any]):
    """A key, as the key set has it by its `kid`. `state` is next, signing or old."""

    kid = serializers.CharField()
    state = serializers.CharField()
    created_at = serializers.DateTimeField()
    signs_from = serializers.DateTimeField()


class ReplaceTokenKeysDocument(StrictDocument):
    """Why all keys are replaced at once, for the journal."""

    note = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class TokenKeyListView(APIView):
    """The keys whose tokens are taken."""

    scopes = {"GET": "issuers:read"}

    @extend_schema(operation_id="listTokenKeys", responses=TokenKeyDocument(many=True))
    def get(self, request: Request) -> Response:
        """Every one of them, the oldest first."""
        del request
        keys = queries.list_token_keys()
        results = [_document(key, keys) for key in keys]
        return Response(page(results, next_cursor=None, approximate_count=len(results)))


class ReplaceTokenKeysView(APIView):
    """The answer to a key that others may know."""

    scopes = {"POST": "issuers:sign"}

    @extend_schema(operation_id="replaceTokenKeys", request=ReplaceTokenKeysDocument, responses={201: TokenKeyDocument})
    def post(self, request: Request) -> Response:
        """The fresh key; every other one is gone, and no token that it signed is taken here any more."""
        caller = caller_of(request)
        note = body_of(ReplaceTokenKeysDocument, request)["note"]
        fresh = services.replace_token_keys(domains=caller.domain_ids, actor=caller.actor, now=utc_now(), note=note)
        return Response(_document(fresh, [fresh]), status=201)


def _document(key: TokenKey, keys: list[TokenKey]) -> dict[str, str]:
    return {
        "kid": key.kid,
        "state": state_of(key, keys, now=utc_now()).value,
        "created_at": to_rfc3339(key.created_at),
        "signs_from": to_rfc3339(key.signs_from),
    }
