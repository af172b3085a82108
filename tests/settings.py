"""Settings of the tests: the real ones, in a folder of their own, with a transport that nobody listens to."""

from __future__ import annotations

import os
import tempfile

# Whatever the developer's own installation is set to is none of the tests' business.
for _name in list(os.environ):
    if _name in {"DATABASE_URL", "REDIS_URL"} or (
        _name.startswith("GATEHOUSE_") and not _name.startswith("GATEHOUSE_TEST_")
    ):
        del os.environ[_name]

if "GATEHOUSE_TEST_HOME" not in os.environ:  # the first process of a run; its workers share what it made
    os.environ["GATEHOUSE_TEST_HOME"] = tempfile.mkdtemp(prefix="gatehouse-tests-")
    os.environ["GATEHOUSE_TEST_HOME_OWNER"] = str(os.getpid())

os.environ["GATEHOUSE_HOME"] = os.environ["GATEHOUSE_TEST_HOME"]
if "GATEHOUSE_TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["GATEHOUSE_TEST_DATABASE_URL"]

from console.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["tests.cheap_argon2.CheapArgon2"]
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

if "GATEHOUSE_TEST_DATABASE_URL" not in os.environ:  # in a file, since SQLite in memory has locks that nobody waits for
    DATABASES["default"]["TEST"] = {"NAME": f"{os.environ['GATEHOUSE_TEST_HOME']}/tests.sqlite3"}  # noqa: F405
