"""Who calls the API: an application by its bearer token, or an operator by the session of the console."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from console.access import application_caller, operator_caller
from console.models import Operator
from console.oauth.validator import find_token
from kernel.api.address import peer_address
from kernel.core.caller import Caller
from kernel.core.clock import utc_now

_MAX_TOKEN = 512


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        """The application's caller; None if the request has no bearer token. Raises AuthenticationFailed."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = find_token(token.strip(), now=utc_now()) if 0 < len(token.strip()) <= _MAX_TOKEN else None
        if found is None:
            raise AuthenticationFailed(
                "The access token is unknown or has ended: ask for another at /oauth/token/.", code="invalid-token"
            )
        caller = application_caller(found.application, scopes=found.scope.split(), address=peer_address(request))
        return AnonymousUser(), caller

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401."""
        del request
        return 'Bearer realm="gatehouse"'


class SessionAuthentication(BaseAuthentication):
    """An operator who is signed in to the console; CSRF is enforced."""

    def authenticate(self, request: Request) -> tuple[Operator, Caller] | None:
        """The operator and its caller; None if nobody is signed in. Raises PermissionDenied."""
        operator = getattr(request._request, "user", None)  # noqa: SLF001 - DRF's own way to the session's user
        if not isinstance(operator, Operator) or not operator.is_active:
            return None
        check = CSRFCheck(lambda _: None)  # type: ignore[arg-type]
        check.process_request(request._request)  # noqa: SLF001
        if reason := check.process_view(request._request, None, (), {}):  # type: ignore[arg-type]  # noqa: SLF001
            raise PermissionDenied(f"The request does not come from the console: {reason}", code="csrf")
        return operator, operator_caller(operator, address=peer_address(request))
