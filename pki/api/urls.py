"""Paths below /api/v1/."""

from __future__ import annotations

from django.urls import path

from pki.api.bulk_revocation import RevokeMatchingView
from pki.api.certificates import CertificateListView, CertificateView, HoldView, ReleaseView, RevokeView
from pki.api.issuers import IssuerCrlView, IssuerListView, IssuerView
from pki.api.profiles import ProfileListView, ProfilePreviewView, ProfileRetireView, ProfileView

urlpatterns = [
    path("issuers/", IssuerListView.as_view(), name="issuer-list"),
    path("issuers/<slug:slug>/", IssuerView.as_view(), name="issuer-detail"),
    path("issuers/<slug:slug>/crl/", IssuerCrlView.as_view(), name="issuer-crl"),
    path("certificates/", CertificateListView.as_view(), name="certificate-list"),
    path("certificates/revoke/", RevokeMatchingView.as_view(), name="certificates-revoke"),
    path("certificates/<uuid:certificate>/", CertificateView.as_view(), name="certificate-detail"),
    path("certificates/<uuid:certificate>/revoke/", RevokeView.as_view(), name="certificate-revoke"),
    path("certificates/<uuid:certificate>/hold/", HoldView.as_view(), name="certificate-hold"),
    path("certificates/<uuid:certificate>/release/", ReleaseView.as_view(), name="certificate-release"),
    path("profiles/", ProfileListView.as_view(), name="profile-list"),
    path("profiles/<slug:certificate_profile>/", ProfileView.as_view(), name="profile-detail"),
    path("profiles/<slug:certificate_profile>/retire/", ProfileRetireView.as_view(), name="profile-retire"),
    path("profiles/<slug:certificate_profile>/preview/", ProfilePreviewView.as_view(), name="profile-preview"),
]
