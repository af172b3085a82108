"""Paths below /api/v1/."""

from __future__ import annotations

from django.urls import path

from pki.api.bulk_revocation import RevokeMatchingView
from pki.api.certificates import CertificateListView, CertificateView, HoldView, ReleaseView, RevokeView
from pki.api.issuer_acts import (
    CrossCertificatesView,
    CrossRequestView,
    IssuerRetireView,
    IssuerRevokeView,
    RolloverView,
)
from pki.api.issuer_arrivals import (
    InstallIssuerView,
    IssuerImportView,
    IssuerRequestListView,
    IssuerRequestView,
    IssuerTrustView,
)
from pki.api.issuer_signing import SignaturesView, SigningRequestsView, SigningRequestView
from pki.api.issuers import IssuerCrlView, IssuerListView, IssuerView
from pki.api.profiles import ProfileListView, ProfilePreviewView, ProfileRetireView, ProfileView

urlpatterns = [
    path("issuers/", IssuerListView.as_view(), name="issuer-list"),
    path("issuers/import/", IssuerImportView.as_view(), name="issuer-import"),
    path("issuers/trust/", IssuerTrustView.as_view(), name="issuer-trust"),
    path("issuers/requests/", IssuerRequestListView.as_view(), name="issuer-request-list"),
    path("issuers/requests/<slug:issuer_request>/", IssuerRequestView.as_view(), name="issuer-request-detail"),
    path("issuers/requests/<slug:issuer_request>/install/", InstallIssuerView.as_view(), name="issuer-install"),
    path("issuers/<slug:slug>/", IssuerView.as_view(), name="issuer-detail"),
    path("issuers/<slug:slug>/crl/", IssuerCrlView.as_view(), name="issuer-crl"),
    path("issuers/<slug:slug>/cross-certificates/", CrossCertificatesView.as_view(), name="issuer-cross-certificates"),
    path("issuers/<slug:slug>/cross-request/", CrossRequestView.as_view(), name="issuer-cross-request"),
    path("issuers/<slug:slug>/rollover/", RolloverView.as_view(), name="issuer-rollover"),
    path("issuers/<slug:slug>/retire/", IssuerRetireView.as_view(), name="issuer-retire"),
    path("issuers/<slug:slug>/revoke/", IssuerRevokeView.as_view(), name="issuer-revoke"),
    path("issuers/<slug:slug>/signing-requests/", SigningRequestsView.as_view(), name="issuer-signing-requests"),
    path(
        "issuers/<slug:slug>/signing-requests/<uuid:signing_request>/",
        SigningRequestView.as_view(),
        name="issuer-signing-request",
    ),
    path("issuers/<slug:slug>/signatures/", SignaturesView.as_view(), name="issuer-signatures"),
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
