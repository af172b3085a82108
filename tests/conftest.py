"""What all tests share: a clean end. Fixtures of an app stand in `tests/<app>/conftest.py`."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Removes the folder that tests/settings.py made, in the process that made it."""
    if os.environ.get("GATEHOUSE_TEST_HOME_OWNER") == str(os.getpid()):
        shutil.rmtree(os.environ["GATEHOUSE_TEST_HOME"], ignore_errors=True)
