"""Paths below /api/v1/."""

from __future__ import annotations

from django.urls import path

from pki.api.certificates import CertificateListView, CertificateView, HoldView, ReleaseView, RevokeView
from pki.api.issuers import IssuerCrlView, IssuerListView, IssuerView

urlpatterns = [
    path("issuers/", IssuerListView.as_view(), name="issuer-list"),
    path("issuers/<slug:slug>/", IssuerView.as_view(), name="issuer-detail"),
    path("issuers/<slug:slug>/crl/", IssuerCrlView.as_view(), name="issuer-crl"),
    path("certificates/", CertificateListView.as_view(), name="certificate-list"),
    path("certificates/<uuid:certificate>/", CertificateView.as_view(), name="certificate-detail"),
    path("certificates/<uuid:certificate>/revoke/", RevokeView.as_view(), name="certificate-revoke"),
    path("certificates/<uuid:certificate>/hold/", HoldView.as_view(), name="certificate-hold"),
    path("certificates/<uuid:certificate>/release/", ReleaseView.as_view(), name="certificate-release"),
]
