"""Settings of the tests: the real ones, in a folder of their own, with a transport that nobody listens to."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("GATEHOUSE_HOME", tempfile.mkdtemp(prefix="gatehouse-tests-"))

from console.settings import *  # noqa: E402, F403

CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
