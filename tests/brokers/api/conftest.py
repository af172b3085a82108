"""Programs that call the API: one in domain north, one that may only read, one in domain south."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from console.core.roles import EVERY_SCOPE
from console.services.applications import create_application
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId
from tests.brokers.fleet import Fleet
from tests.console.conftest import bearer


@dataclass
class Api:
    """An authenticated caller."""

    client: Client
    headers: dict[str, str]

    def get(self, path: str) -> Any:
        """The answer to GET."""
        return self.client.get(f"/api/v1/{path}", headers=self.headers)

    def post(self, path: str, body: object = None) -> Any:
        """The answer to POST of JSON."""
        return self.client.post(
            f"/api/v1/{path}", body if body is not None else {}, content_type="application/json", headers=self.headers
        )

    def delete(self, path: str) -> Any:
        """The answer to DELETE."""
        return self.client.delete(f"/api/v1/{path}", headers=self.headers)


Caller = Callable[[DomainId, Iterable[str]], Api]


@pytest.fixture
def caller(client: Client) -> Caller:
    def make(domain: DomainId, scopes: Iterable[str]) -> Api:
        application = create_application(
            name="mill", scopes=frozenset(scopes), domains=[domain], actor=SYSTEM, now=utc_now()
        )
        return Api(client, bearer(client, application))

    return make


@pytest.fixture
def api(fleet: Fleet, caller: Caller) -> Api:
    return caller(fleet.domain.id, EVERY_SCOPE)
