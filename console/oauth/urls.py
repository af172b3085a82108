"""Paths below /oauth/."""

from __future__ import annotations

from django.urls import path

from console.oauth.views import IntrospectView, RevokeTokenView, TokenView

urlpatterns = [
    path("token/", TokenView.as_view(), name="oauth-token"),
    path("revoke_token/", RevokeTokenView.as_view(), name="oauth-revoke"),
    path("introspect/", IntrospectView.as_view(), name="oauth-introspect"),
]
