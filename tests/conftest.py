"""What all tests share: a journal that can be emptied between tests, and a clean end.

Fixtures of an app stand in `tests/<app>/conftest.py`.
"""

from __future__ import annotations

import os
import shutil

import pytest
from pytest_django import DjangoDbBlocker


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The test database; on SQLite without the guard against deletion, since Django's `flush` deletes there."""
    from django.db import connection

    if connection.vendor == "sqlite":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER kernel_journal_no_delete")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Removes the folder that tests/settings.py made, in the process that made it."""
    if os.environ.get("GATEHOUSE_TEST_HOME_OWNER") == str(os.getpid()):
        shutil.rmtree(os.environ["GATEHOUSE_TEST_HOME"], ignore_errors=True)
