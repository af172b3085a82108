"""Paths below /api/v1/."""

from __future__ import annotations

from django.urls import path

from acl.api.views import RoleListView, RoleView

urlpatterns = [
    path("roles/", RoleListView.as_view(), name="role-list"),
    path("roles/<uuid:role>/", RoleView.as_view(), name="role-detail"),
]
