"""The router: the API of each app, and the frame's own paths, below /api/v1/."""

from __future__ import annotations

from django.urls import include, path, re_path

from console.api.faults import nothing_here
from console.api.findings import FindingListView
from console.api.schema import DocsView, SchemaView
from console.api.views import ApplicationListView, JournalView, OperationView

urlpatterns = [
    path("", include("devices.api.urls")),
    path("", include("pki.api.urls")),
    path("", include("acl.api.urls")),
    path("", include("brokers.api.urls")),
    path("operations/<uuid:operation>/", OperationView.as_view(), name="operation-detail"),
    path("journal/", JournalView.as_view(), name="journal-list"),
    path("findings/", FindingListView.as_view(), name="finding-list"),
    path("applications/", ApplicationListView.as_view(), name="application-list"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
    re_path(r"^.*$", nothing_here),
]
