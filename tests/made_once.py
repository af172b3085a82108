"""What many tests start from is made through services once, and for the next test its rows are written again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection

from kernel.conf import master_key
from kernel.models import JournalHead

T = TypeVar("T")

_OF_A_NUMBER = re.compile(r'(UPDATE|DELETE)\b.*"(pki_crl|pki_ocspsigner|kernel_wakeup|brokers_session)"\."id"')
"""Changes of a row that is named by the number that the database gave it."""

FRESH_SECONDS = 60
"""What says when it was made is as if the test had been slow to start."""


@dataclass(frozen=True)
class _Made:
    result: Any
    writes: list[tuple[str, Any, bool]]
    until: float


_made: dict[tuple[object, ...], _Made] = {}


def made_once(make: Callable[[], T], *words: str) -> T:
    """The result of `make`, which says the same for the same words, with all that it writes in the database.

    It is called again on another ground: after other writes, under another master key, with other settings. It is
    called each time where a test commits, and on PostgreSQL, which gets a CRL's octets past Django.
    """
    if connection.vendor != "sqlite" or not connection.in_atomic_block:
        return make()
    key = (words, *_ground())
    kept = _made.get(key)
    if kept is None or kept.until < time.monotonic():
        _made[key] = kept = _make(make)
    else:
        with connection.cursor() as cursor:
            for statement, values, many in kept.writes:
                (cursor.executemany if many else cursor.execute)(statement, values)
    result: T = kept.result
    return result


def _make(make: Callable[[], Any]) -> _Made:
    writes: list[tuple[str, Any, bool]] = []

    def note(execute: Callable[..., Any], statement: str, values: Any, many: bool, context: Any) -> Any:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            assert not _OF_A_NUMBER.match(statement), f"the number may be another the next time: {statement}"
            writes.append((statement, values, many))
        assert not statement.startswith("ROLLBACK"), "what is made once may not fail half-way"
        return execute(statement, values, many, context)

    with connection.execute_wrapper(note):
        result = make()
    return _Made(result=result, writes=writes, until=time.monotonic() + FRESH_SECONDS)


def _ground() -> tuple[object, ...]:
    with connection.cursor() as cursor:
        numbers = cursor.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name").fetchall()
    heads = [bytes(head.digest) for head in JournalHead.objects.all()]
    chosen = ("GATEHOUSE_BASE_URL", "GATEHOUSE_ROUTER", "GATEHOUSE_PKCS11_TOKEN")
    return (*numbers, *heads, master_key().current.id, *(str(getattr(settings, name, "")) for name in chosen))
