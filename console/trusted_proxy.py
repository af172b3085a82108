"""TLS that a trusted proxy ended: what it says of the scheme is believed, what anybody else says is not."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from kernel.api.address import is_trusted_proxy


class TrustedProxy:
    """Takes `X-Forwarded-Proto` from the proxies of GATEHOUSE_TRUSTED_PROXIES alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer to the request as the browser sent it."""
        if request.META.get("HTTP_X_FORWARDED_PROTO") == "https" and is_trusted_proxy(request):
            request.META["wsgi.url_scheme"] = "https"
        return self.get_response(request)
