"""Each request has an id: in its answer, in every line of the log, in its problem document."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from kernel.core.ids import new_id

_HEADER = "X-Request-ID"
_SAFE = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_of(request: Any) -> str:
    """The id that the middleware gave the request."""
    return str(request.META.get("gatehouse.request_id", ""))


class RequestIdMiddleware:
    """Gives the request an id, the caller's own if it sends a harmless one, and puts it on the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(_HEADER, "")
        found = given if _SAFE.fullmatch(given) else str(new_id())
        request.META["gatehouse.request_id"] = request.META["HTTP_X_REQUEST_ID"] = found  # structlog binds the header
        response = self.get_response(request)
        response.headers[_HEADER] = found
        return response
