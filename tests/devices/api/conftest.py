"""Callers of the API: ada writes in north, bo only reads there, cy writes in south."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from oauth2_provider.models import AccessToken

from console.core.roles import EVERY_SCOPE
from console.models import Application
from console.oauth.validator import token_hash
from kernel.core.clock import utc_now
from kernel.core.secrets import new_token
from tests.devices.factory import Factory


class Program:
    """A program with an access token of its own, or none."""

    def __init__(self, factory: Factory | None, scopes: frozenset[str] = EVERY_SCOPE) -> None:
        self.headers = {"Authorization": f"Bearer {_token(factory, scopes)}"} if factory else {}
        self.client = Client()

    def get(self, path: str, **parameters: Any) -> Any:
        return self.client.get(f"/api/v1/{path}", parameters, headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        given = body if isinstance(body, bytes | str) else json.dumps({} if body is None else body)
        return self.client.post(
            f"/api/v1/{path}", given, content_type="application/json", headers={**self.headers, **headers}
        )

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.patch(
            f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers={**self.headers, **headers}
        )

    def delete(self, path: str) -> Any:
        return self.client.delete(f"/api/v1/{path}", headers=self.headers)


def _token(factory: Factory, scopes: frozenset[str]) -> str:
    words, token = " ".join(sorted(scopes)), new_token()
    application = Application.objects.create(
        client_id=new_token(),
        client_secret="!",
        hash_client_secret=False,
        name="mill",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        allowed_scopes=words,
        domain_ids=[str(factory.domain)],
    )
    ends = utc_now() + timedelta(hours=1)
    AccessToken.objects.create(
        application=application, scope=words, expires=ends, token="", token_checksum=token_hash(token)
    )
    return token


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


@pytest.fixture
def ada(north: Factory) -> Program:
    return Program(north)


@pytest.fixture
def bo(north: Factory) -> Program:
    return Program(north, frozenset(scope for scope in EVERY_SCOPE if scope.endswith(":read")))


@pytest.fixture
def cy(south: Factory) -> Program:
    return Program(south)


@pytest.fixture
def anybody() -> Program:
    return Program(None)
