"""Lists of EMQX's management API, which come in pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from brokers.adapters.json_api import JsonApi

_PAGE = 1_000


def every(broker: JsonApi, where: str, **narrowed: str) -> Iterator[Any]:
    """All rows of a list."""
    page = 1
    while True:
        found = broker.ask("GET", f"{where}?{urlencode({'page': page, 'limit': _PAGE, **narrowed})}")
        yield from found["data"]
        if len(found["data"]) < _PAGE:
            return
        page += 1
