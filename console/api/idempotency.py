"""`Idempotency-Key` on POST below /api/: a repeated call gets the first one's answer, and does nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse

from console.api.problems import domain_problem_response, problem_response
from console.oauth.validator import find_token
from console.services.idempotent_calls import Answer, begin_call, drop_call, finish_call
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Retry-After", "Cache-Control")
_REPLAYED = "Idempotency-Replayed"


class IdempotencyKeys:
    """Answers a POST whose key was seen before; another caller's key is another key."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The first answer, or a fresh one."""
        given = request.headers.get("Idempotency-Key")
        if given is None or request.method != "POST" or not request.path.startswith("/api/"):
            return self.get_response(request)
        if not _KEY.fullmatch(given):
            detail = "An Idempotency-Key has 1 to 255 visible ASCII characters: a UUID is a good one."
            return problem_response(request, HTTPStatus.BAD_REQUEST, detail, code="idempotency-key-invalid")
        caller = _caller_of(request)
        if not caller:
            return self.get_response(request)
        key = f"{caller}\n{request.path}\n{given}"
        try:
            earlier = begin_call(key=key, body=request.body, now=utc_now())
        except DomainError as error:
            return domain_problem_response(request, error)
        if earlier is not None:
            headers = {**earlier.headers, _REPLAYED: "true"}
            return HttpResponse(earlier.body, status=earlier.status, headers=headers)
        return self._act(request, key)

    def _act(self, request: HttpRequest, key: str) -> HttpResponse:
        try:
            response = self.get_response(request)
        except BaseException:
            drop_call(key=key)
            raise
        if response.status_code >= HTTPStatus.BAD_REQUEST:  # nothing was done: the next one may try again
            drop_call(key=key)
            return response
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        body = response.content.decode()
        finish_call(key=key, answer=Answer(status=response.status_code, headers=headers, body=body))
        return response


def _caller_of(request: HttpRequest) -> str:
    """Who calls, proven; empty for a device, whose calls are harmless to repeat by themselves."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = find_token(token.strip(), now=utc_now())
        return f"application {found.application.client_id} {found.scope}" if found else ""
    operator = getattr(request, "user", None)
    return f"operator {operator.pk}" if operator is not None and operator.is_authenticated else ""
