"""What all tests share: a journal that can be emptied between tests, and a clean end.

Fixtures of an app stand in `tests/<app>/conftest.py`.
"""

from __future__ import annotations

import gc
import math
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db.models.sql.compiler import SQLUpdateCompiler
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from pytest_django import DjangoDbBlocker

from kernel.core.ids import new_id
from tests.scheduling import ByModule, turn
from tests.servers import empty_redis, running_postgresql, running_redis

# The same examples in every run, however slow the machine is: what fails here fails for everybody.
hypothesis_settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")

MOST_TRIED_TWICE = 3


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The test database; on SQLite without the guard against deletion, since Django's `flush` deletes there."""
    from django.db import connection

    if connection.vendor == "sqlite":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER kernel_journal_no_delete")


@pytest.fixture(scope="session", autouse=True)
def no_update_through_a_join() -> Iterator[None]:
    """Fails an UPDATE whose condition Django puts into a subquery, as it does for a condition on another table.

    PostgreSQL does not ask such a condition again after it has waited for the row: both of two writers win.
    """
    made = SQLUpdateCompiler.as_sql

    def as_sql(self: SQLUpdateCompiler) -> tuple[str, tuple[object, ...]]:
        statement, values = made(self)
        assert '"."id" IN (SELECT' not in statement, f"two writers at once would both win: {statement}"
        return statement, values

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLUpdateCompiler, "as_sql", as_sql)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_writing_in_the_background() -> Iterator[None]:
    """What is noted of the use of policy and passwords is written when a test says so, not in the middle of another."""
    from brokers.services import policy_use
    from devices.services.password_use import password_use

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_use, "FLUSH_SECONDS", math.inf)
        patch.setattr(password_use, "start", lambda _: None)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL, without a database's name."""
    with running_postgresql() as url:
        yield url.rpartition("/")[0]


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """The URL of a PostgreSQL database of the test's own, empty."""
    return new_database(postgresql_server)


def new_database(server: str) -> str:
    """The URL of a new, empty database of that PostgreSQL."""
    name = f"t{new_id().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{server}/{name}"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Redis."""
    with running_redis() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis."""
    empty_redis(redis_server)
    return redis_server


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    return ByModule(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends what only the collector ends, as the sockets of paho's clients: with 1,024 open ones paho is deaf.

    Whether that warns of them hangs on the order in which it comes upon a client and its sockets.
    """
    if item.get_closest_marker("e2e") and (nextitem is None or nextitem.path != item.path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names in .pytest_cache/second_try the failed tests that `make test` may ask once more: few, and no race."""
    config = terminalreporter.config
    if config.option.verbose < 0:
        return  # a run inside of a test
    failed = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    races = any("several_writers" in word for report in failed for word in getattr(report, "keywords", ()))
    names = sorted({report.nodeid for report in failed})
    place = Path(config.rootpath, ".pytest_cache", "second_try")
    place.parent.mkdir(exist_ok=True)
    place.write_text("".join(f"{name}\n" for name in names if len(names) <= MOST_TRIED_TWICE and not races))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Removes the folder that tests/settings.py made, in the process that made it."""
    if os.environ.get("GATEHOUSE_TEST_HOME_OWNER") == str(os.getpid()):
        shutil.rmtree(os.environ["GATEHOUSE_TEST_HOME"], ignore_errors=True)
