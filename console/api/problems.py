"""The one table that turns errors into problem documents (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from console.request_log import request_id_of
from kernel.core import errors

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

_STATUS: Mapping[type[errors.DomainError], HTTPStatus] = {
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Denied: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Superseded: HTTPStatus.PRECONDITION_FAILED,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Unconditional: HTTPStatus.PRECONDITION_REQUIRED,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_CODE = {
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNAUTHORIZED: "unauthenticated",
    HTTPStatus.FORBIDDEN: "denied",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.NOT_ACCEPTABLE: "not-acceptable",
    HTTPStatus.LENGTH_REQUIRED: "length-required",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported-media-type",
    HTTPStatus.TOO_MANY_REQUESTS: "rate-limited",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal",
}
CHALLENGE = 'Bearer realm="gatehouse"'


def problem(
    request: HttpRequest,
    status: HTTPStatus,
    detail: str,
    *,
    code: str = "",
    faults: Sequence[errors.FieldError] = (),
) -> dict[str, Any]:
    """A problem document. `code` is ours and stable, `detail` says what to do."""
    code = code or _CODE.get(status, "error")
    return {
        "type": f"urn:gatehouse:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "instance": request.path,
        "request_id": request_id_of(request),
        "errors": [{"pointer": fault.pointer, "code": fault.code, "detail": fault.detail} for fault in faults],
    }


def problem_response(request: HttpRequest, status: HTTPStatus, detail: str, *, code: str = "") -> JsonResponse:
    """The same as an answer of Django's."""
    return JsonResponse(problem(request, status, detail, code=code), status=status.value, content_type=CONTENT_TYPE)


def domain_problem_response(request: HttpRequest, error: errors.DomainError) -> JsonResponse:
    """The same for an error of the domain."""
    status, detail, code, faults, headers = _domain_facts(error)
    document = problem(request, status, detail, code=code, faults=faults)
    return JsonResponse(document, status=status.value, headers=headers, content_type=CONTENT_TYPE)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to whatever a view raised. DRF calls it."""
    set_rollback()
    request = context["request"]
    status, detail, code, faults, headers = _facts(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("unexpected error, request %s", request_id_of(request), exc_info=error)
    document = problem(request, status, detail, code=code, faults=faults)
    return Response(document, status=status.value, headers=headers, content_type=CONTENT_TYPE)


_Facts = tuple[HTTPStatus, str, str, Sequence[errors.FieldError], dict[str, str]]


_OTHERS: Sequence[tuple[tuple[type[Exception], ...], HTTPStatus, str]] = (
    ((RequestDataTooBig,), HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large: send less at once."),
    ((Http404,), HTTPStatus.NOT_FOUND, "There is nothing at this address."),
    ((PermissionDenied,), HTTPStatus.FORBIDDEN, "This is not allowed."),
    ((SuspiciousOperation, UnicodeError), HTTPStatus.BAD_REQUEST, "The request can not be understood."),
)
# What DRF says names the fault alone, or speaks of Python.
_DRF_DETAILS: Mapping[type[drf.APIException], str] = {
    drf.NotAuthenticated: "Send an access token as `Authorization: Bearer <token>`: /oauth/token/ gives one.",
    drf.MethodNotAllowed: "This method is not for this address: the header Allow lists those that are.",
    drf.NotAcceptable: "Answers are JSON: accept application/json.",
    drf.UnsupportedMediaType: "Send the body as JSON, with `Content-Type: application/json`.",
}
_FIELD_DETAILS = {
    "required": "It is missing.",
    "null": "It may not be null: give a value, or leave it out.",
    "blank": "It may not be empty.",
    "not-a-dict": "Give an object.",
    "not-a-list": "Give a list.",
}
_UNEXPECTED = "Something went wrong here; it is in the log under this request id."


def _facts(error: Exception) -> _Facts:
    if isinstance(error, errors.DomainError):
        return _domain_facts(error)
    if isinstance(error, drf.ValidationError):
        faults = list(_faults(error.get_full_details(), pointer=""))
        return HTTPStatus.BAD_REQUEST, _sentence(faults), "invalid", faults, {}
    if isinstance(error, drf.APIException):
        return _drf_facts(error)
    for kinds, status, detail in _OTHERS:
        if isinstance(error, kinds):
            return status, detail, "", (), {}
    return HTTPStatus.INTERNAL_SERVER_ERROR, _UNEXPECTED, "", (), {}


def _domain_facts(error: errors.DomainError) -> _Facts:
    status = next(
        (status for kind, status in _STATUS.items() if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR
    )
    headers = {}
    if isinstance(error, errors.RateLimited):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = CHALLENGE
    return status, error.detail, error.code, error.errors, headers


def _drf_facts(error: drf.APIException) -> _Facts:
    status = HTTPStatus(error.status_code)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        code = error.get_codes()
        headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' if code == "invalid-token" else "")
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(max(1, round(wait)))
    code = error.get_codes()
    kept = code if isinstance(code, str) and code in {"invalid-token", "csrf"} else ""
    return status, _DRF_DETAILS.get(type(error), str(error.detail)), kept, (), headers


def _faults(found: Any, *, pointer: str) -> Iterator[errors.FieldError]:
    """The leaves of DRF's nested error details, each with the JSON pointer (RFC 6901) of its member."""
    if isinstance(found, Mapping) and isinstance(found.get("message"), str) and isinstance(found.get("code"), str):
        code = found["code"].replace("_", "-")
        yield errors.FieldError(pointer=pointer, code=code, detail=_FIELD_DETAILS.get(code, str(found["message"])))
    elif isinstance(found, Mapping):
        for name, inner in found.items():
            step = "" if name == "non_field_errors" else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from _faults(inner, pointer=pointer + step)
    elif isinstance(found, Sequence) and not isinstance(found, str):
        leaves = all(isinstance(inner, Mapping) and "message" in inner and "code" in inner for inner in found)
        for index, inner in enumerate(found):
            yield from _faults(inner, pointer=pointer if leaves else f"{pointer}/{index}")


def _sentence(faults: Sequence[errors.FieldError]) -> str:
    if not faults:
        return "The input can not be accepted."
    first = faults[0]
    more = f" ({len(faults) - 1} more below)" if len(faults) > 1 else ""
    return f"{first.pointer.lstrip('/') or 'The body'}: {first.detail}{more}"
