"""/oauth/: tokens (RFC 6749 4.4), their end (RFC 7009) and state (RFC 7662); metadata (RFC 8414)."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe
from django.views.generic import View
from oauth2_provider.models import AccessToken
from oauth2_provider.views.mixins import OAuthLibMixin

from console.core.roles import SCOPES
from console.oauth.device_tokens import claimed_client, give_device_token, is_by_device, shows_secret
from console.oauth.validator import token_hashes
from devices.core.proof import ALGORITHMS
from kernel.api.address import peer_address
from kernel.api.failures import TooManyFailures, check_failures, note_failure
from kernel.core.clock import utc_now
from kernel.core.errors import Conflict, Denied, Invalid, Unauthenticated, Unavailable
from pki.queries import CertificateRefused

_UNAUTHORIZED = 401


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(sensitive_post_parameters("client_secret", "client_assertion", "token"), name="dispatch")
class _ClientView(OAuthLibMixin, View):  # type: ignore[misc]
    """An endpoint where a client proves itself; wrong secrets are counted."""

    http_method_names = ("post",)

    def post(self, request: HttpRequest) -> HttpResponse:
        """The answer of `respond`, unless the client has failed too often with what can be guessed."""
        if request.GET:  # secrets would stand in logs of addresses, and guesses be counted for nobody
            return _error("invalid_request", "Send everything in the form: nothing in the address.", status=400)
        client, address = claimed_client(request)[0], peer_address(request)
        may_guess = shows_secret(request) or not is_by_device(request)
        try:
            if may_guess:
                check_failures(door="oauth", client=client, address=address)
        except TooManyFailures as refusal:
            return _error("slow_down", refusal.detail, status=429, **{"Retry-After": str(refusal.retry_after_seconds)})
        response = self.respond(request)
        if response.status_code == _UNAUTHORIZED:
            if may_guess:
                note_failure(door="oauth", client=client, address=address)
            response.headers["WWW-Authenticate"] = 'Basic realm="gatehouse"'
        response.headers["Cache-Control"] = "no-store"
        return response

    def respond(self, request: HttpRequest) -> HttpResponse:
        raise NotImplementedError


class TokenView(_ClientView):
    """POST /oauth/token/"""

    def respond(self, request: HttpRequest) -> HttpResponse:
        """A bearer token for the client credentials grant: opaque for our API, or a device's JWT for brokers."""
        grant = request.POST.get("grant_type")
        if grant != "client_credentials":
            error = "unsupported_grant_type" if grant else "invalid_request"
            return _error(error, "Send a form with grant_type=client_credentials.", status=400)
        if is_by_device(request):
            return _device_token(request)
        _, headers, body, status = self.create_token_response(request)
        return _as_json(body, status, headers)


def _device_token(request: HttpRequest) -> HttpResponse:
    try:
        given = give_device_token(request)
    except (Unauthenticated, CertificateRefused) as refusal:
        return _error("invalid_client", refusal.detail, status=_UNAUTHORIZED)
    except Denied as refusal:
        return _error("unauthorized_client", refusal.detail, status=400)
    except Unavailable as refusal:
        return _error("temporarily_unavailable", refusal.detail, status=503, **{"Retry-After": "1"})
    except (Invalid, Conflict) as refusal:
        return _error("invalid_request", refusal.detail, status=400)
    return JsonResponse({"access_token": given.text, "token_type": "Bearer", "expires_in": given.expires_in})


class RevokeTokenView(_ClientView):
    """POST /oauth/revoke_token/"""

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Nothing: the token, if it was this client's, is no more."""
        _, headers, body, status = self.create_revocation_response(request)
        return _as_json(body or "{}", status or 200, headers or {})


class IntrospectView(_ClientView):
    """POST /oauth/introspect/"""

    def respond(self, request: HttpRequest) -> HttpResponse:
        """What one of the client's own tokens is good for; of all others only that they are not active."""
        if not self.authenticate_client(request):
            return _error("invalid_client", "The client is unknown or its secret is wrong.", status=_UNAUTHORIZED)
        token = (
            AccessToken.objects.select_related("application")
            .filter(token_checksum__in=token_hashes(request.POST.get("token", "")), expires__gt=utc_now())
            .first()
        )
        if token is None or token.application.client_id != claimed_client(request)[0]:
            return JsonResponse({"active": False})
        facts = {"active": True, "scope": token.scope, "client_id": token.application.client_id, "token_type": "Bearer"}
        return JsonResponse({**facts, "exp": int(token.expires.timestamp())})


@require_safe
def authorization_server(request: HttpRequest) -> JsonResponse:
    """/.well-known/oauth-authorization-server"""
    del request
    base = settings.GATEHOUSE_BASE_URL
    methods = ["client_secret_basic", "client_secret_post"]
    return JsonResponse(
        {
            "issuer": base,
            "token_endpoint": f"{base}/oauth/token/",
            "revocation_endpoint": f"{base}/oauth/revoke_token/",
            "introspection_endpoint": f"{base}/oauth/introspect/",
            "jwks_uri": f"{base}/.well-known/jwks.json",
            "token_endpoint_auth_methods_supported": [*methods, "private_key_jwt", "tls_client_auth"],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "revocation_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": methods,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": sorted(SCOPES),
            "service_documentation": f"{base}/api/v1/docs/",
        }
    )


def _as_json(body: str, status: int, headers: dict[str, Any]) -> HttpResponse:
    document = json.loads(body)
    if status == _UNAUTHORIZED:
        document["error_description"] = "The client is unknown or its secret is wrong."
    response = JsonResponse(document, status=status)
    for name, value in headers.items():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _error(error: str, description: str, *, status: int, **headers: str) -> JsonResponse:
    return JsonResponse({"error": error, "error_description": description}, status=status, headers=headers)
