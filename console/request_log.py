"""Each request has an id: in its answer, in every line of the log, in its problem document."""

from __future__ import annotations

import re
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from console.logs import redacted
from kernel.api.address import peer_address
from kernel.core.ids import new_id

HEADER = "X-Request-ID"
_SAFE = re.compile(r"[A-Za-z0-9._-]{8,64}")
_KEY = "gatehouse.request_id"


def request_id_of(request: Any) -> str:
    """The id that the middleware gave the request; empty without the middleware."""
    return str(request.META.get(_KEY, ""))


class RequestLog(RequestMiddleware):
    """Gives the request an id, the caller's own if it sends a harmless one, and logs the request without secrets."""

    def prepare(self, request: HttpRequest) -> None:
        """Sets the id before anything is logged."""
        given = request.headers.get(HEADER, "")
        found = given if _SAFE.fullmatch(given) else str(new_id())
        request.META[_KEY] = request.META["HTTP_X_REQUEST_ID"] = found
        request.__dict__.pop("headers", None)  # Django caches them; they have the new id now
        super().prepare(request)

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        """Puts the id on the answer."""
        response.headers[HEADER] = request_id_of(request)
        super().handle_response(request, response)

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        """The address by our own rule of trusted proxies."""
        structlog.contextvars.bind_contextvars(address=peer_address(request))

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Method and path, without the query, and without the token of a setup link."""
        return redacted(f"{request.method} {request.path}")
