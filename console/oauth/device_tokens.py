"""POST /oauth/token/ by devices, and by applications that connect to brokers: a JWT to show as the MQTT password.

They prove themselves by an assertion that their certificate's key signed (RFC 7523 2.2), by mutual TLS to a trusted
proxy (RFC 8705 2), or by their password. A device's client id has a slash in it, and no program's has. Exchanging
again is how a token is refreshed: there is no refresh token to lose.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_plus

from django.conf import settings
from django.http import HttpRequest

from brokers import services as brokers
from brokers.services import GivenToken
from devices import services as devices
from devices.conf import client_cert_header
from devices.core.client_assertion import ASSERTION_TYPE, verify_assertion
from devices.core.client_cert import read_client_cert
from devices.core.proof import BadProof
from devices.services import ProvedPrincipal
from kernel.api.address import is_trusted_proxy
from kernel.core.clock import utc_now
from kernel.core.errors import Invalid

_WITH_ACL = {"emqx": True, "none": False}


class BadTokenRequest(Invalid):
    """The request for a token is none."""

    code = "bad-token-request"


def is_by_device(request: HttpRequest) -> bool:
    """Whether a device asks, or whoever asks has no secret to show and a certificate that a trusted proxy checked."""
    if "client_assertion" in request.POST or "client_assertion_type" in request.POST:
        return True
    if shows_secret(request):
        return "/" in claimed_client(request)[0]
    return client_cert_header() in request.headers and is_trusted_proxy(request)


def shows_secret(request: HttpRequest) -> bool:
    """Whether the request has a secret, which could be guessed; it may have a signature as well."""
    return "Authorization" in request.headers or "client_secret" in request.POST


def give_device_token(request: HttpRequest) -> GivenToken:
    """The token. Raises BadTokenRequest, and what proving a principal and giving it a token raise."""
    with_acl = _WITH_ACL.get(request.POST.get("acl", "emqx"))
    if with_acl is None:
        raise BadTokenRequest("Say acl=emqx, or acl=none for a token without rules.")
    if "scope" in request.POST:
        raise BadTokenRequest("A device's token has no scope, its policy says what it may do: leave scope out.")
    return brokers.give_access_token(principal=_prove(request), with_acl=with_acl, now=utc_now())


def claimed_client(request: HttpRequest) -> tuple[str, str]:
    """The client id and the secret that the request claims (RFC 6749 2.3.1), unproven; empty if it claims none."""
    if "Authorization" not in request.headers:
        return request.POST.get("client_id", ""), request.POST.get("client_secret", "")
    scheme, _, encoded = request.headers["Authorization"].partition(" ")
    if scheme.lower() != "basic":
        return request.POST.get("client_id", ""), ""
    try:
        client, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client), unquote_plus(secret)


def _prove(request: HttpRequest) -> ProvedPrincipal:
    if "client_assertion" not in request.POST:
        return _by_password(request) if shows_secret(request) else _by_mutual_tls(request)
    if shows_secret(request):
        raise BadTokenRequest("Prove yourself in one way only: by the assertion, or by a secret.")
    return _by_assertion(request)


def _by_password(request: HttpRequest) -> ProvedPrincipal:
    client, password = claimed_client(request)
    if request.POST.get("client_id", client) != client:
        raise BadTokenRequest("The client_id is another than that of the Authorization header.")
    return devices.prove_by_password(client=client, password=password, now=utc_now())


def _by_assertion(request: HttpRequest) -> ProvedPrincipal:
    if request.POST.get("client_assertion_type") != ASSERTION_TYPE:
        raise BadTokenRequest(f"An assertion comes with client_assertion_type={ASSERTION_TYPE}.")
    base, now = settings.GATEHOUSE_BASE_URL, utc_now()
    assertion = verify_assertion(request.POST["client_assertion"], audiences=(base, f"{base}/oauth/token/"), now=now)
    if request.POST.get("client_id", assertion.client) != assertion.client:
        raise BadProof("The client_id is another than the assertion's sub.")
    return devices.prove_by_certificate(
        client=assertion.client, chain=assertion.proof.chain, proof=assertion.proof, now=now
    )


def _by_mutual_tls(request: HttpRequest) -> ProvedPrincipal:
    if "client_id" not in request.POST or "client_assertion_type" in request.POST:
        raise BadTokenRequest("Say who asks, such as client_id=north/pump-1, or send a client_assertion.")
    certificate = read_client_cert(request.headers[client_cert_header()])
    return devices.prove_by_certificate(client=request.POST["client_id"], chain=[certificate], now=utc_now())
