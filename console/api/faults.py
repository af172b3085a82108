"""What Django itself answers, outside of DRF's views: below /api/ as a problem document, elsewhere as a page."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from console.api.problems import problem_response

_SPEAKS_PROBLEMS = ("/api/", "/oauth/", "/.well-known/")


@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    """404 below /api/v1/. A path without its slash is told so."""
    detail = "There is nothing at this address: see /api/v1/docs/."
    if not request.path.endswith("/"):
        detail = "There is nothing at this address: paths end with a slash."
    return problem_response(request, HTTPStatus.NOT_FOUND, detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400"""
    return _answer(
        request, HTTPStatus.BAD_REQUEST, "The request can not be understood.", defaults.bad_request, exception
    )


def denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403"""
    return _answer(request, HTTPStatus.FORBIDDEN, "This is not allowed.", defaults.permission_denied, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404"""
    detail = "There is nothing at this address."
    return _answer(request, HTTPStatus.NOT_FOUND, detail, defaults.page_not_found, exception)


def broken(request: HttpRequest) -> HttpResponse:
    """handler500"""
    detail = "Something went wrong here; it is in the log under this request id."
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail, defaults.server_error)


def _answer(
    request: HttpRequest, status: HTTPStatus, detail: str, page: Callable[..., HttpResponse], *arguments: Any
) -> HttpResponse:
    if request.path.startswith(_SPEAKS_PROBLEMS):
        return problem_response(request, status, detail)
    return page(request, *arguments)


class RequestBounds:
    """Refuses a body above DATA_UPLOAD_MAX_MEMORY_SIZE or of unknown length, and an address with NUL, unread."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """400, 411, 413, or what follows."""
        if "%00" in request.META.get("QUERY_STRING", "") or "\x00" in request.path:
            detail = "An address can not hold the character NUL."
            return problem_response(request, HTTPStatus.BAD_REQUEST, detail)
        if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
            detail = "The body has no length: send Content-Length, not a chunked body."
            return problem_response(request, HTTPStatus.LENGTH_REQUIRED, detail)
        length = request.META.get("CONTENT_LENGTH") or "0"
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not length.isdigit() or int(length[:18]) > limit:
            detail = f"The body is too large: send at most {limit} octets."
            return problem_response(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        return self.get_response(request)
