"""Where everything is mounted. Below /pki/, /decide/ and /ingest/ it is answered before Django: console/wsgi.py."""

from __future__ import annotations

from django.urls import include, path

from console import health
from console.oauth.key_set import show_key_set
from console.oauth.views import authorization_server

urlpatterns = [
    path("api/v1/", include("console.api.urls")),
    path("oauth/", include("console.oauth.urls")),
    path(".well-known/oauth-authorization-server", authorization_server, name="oauth-metadata"),
    path(".well-known/jwks.json", show_key_set, name="jwks"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("", include("console.views.urls")),
]

handler400 = "console.api.faults.bad_request"
handler403 = "console.api.faults.denied"
handler404 = "console.api.faults.not_found"
handler500 = "console.api.faults.broken"
