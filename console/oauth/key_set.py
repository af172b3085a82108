"""/.well-known/jwks.json: the public keys of those that sign access tokens, for brokers that verify by themselves."""

from __future__ import annotations

import hashlib
import json
import time

from django.db import Error as DatabaseFault
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from brokers.core.token_keys import key_set
from brokers.queries import list_token_keys
from kernel.services.reconnect import reconnecting

MAX_AGE_SECONDS = 60
ALONE_SECONDS = 600.0
_last: tuple[float, bytes] = (float("-inf"), b"")


@require_safe
def show_key_set(request: HttpRequest) -> HttpResponse:
    """The JWK Set (RFC 7517 5); for ten minutes without the database as it was last. Raises a database error."""
    body = _body()
    response = HttpResponse(body, content_type="application/json")
    response.headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    found = get_conditional_response(request, etag=response.headers["ETag"], response=response)
    return found if isinstance(found, HttpResponse) else response


def _body() -> bytes:
    global _last  # noqa: PLW0603 - what one process knows
    try:
        body = json.dumps(key_set(reconnecting(list_token_keys)), separators=(",", ":")).encode()
    except DatabaseFault:
        known_at, body = _last
        if time.monotonic() - known_at > ALONE_SECONDS:
            raise
        return body
    _last = (time.monotonic(), body)
    return body
