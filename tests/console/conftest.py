"""The cast as rows: two domains, their operators, an application for each."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from oauth2_provider.models import AccessToken

from console.core.roles import EVERY_SCOPE, ConsoleRole
from console.models import Application, Operator
from console.oauth.validator import token_hash
from console.services.applications import NewApplication, create_application
from console.services.operators import create_operator, grant_role
from devices.models import Domain
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId
from kernel.core.secrets import new_token
from tests.cast import NORTH, SOUTH


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


@pytest.fixture
def domains(db: None) -> tuple[DomainId, DomainId]:
    Domain.objects.create(id=NORTH, slug="north", name="North")
    Domain.objects.create(id=SOUTH, slug="south", name="South")
    return NORTH, SOUTH


@pytest.fixture
def operator_in(domains: tuple[DomainId, DomainId]) -> Callable[..., Operator]:
    """Makes an operator with a role in a domain."""

    def make(name: str, role: ConsoleRole, domain: DomainId = NORTH) -> Operator:
        operator = create_operator(username=name, actor=SYSTEM, now=utc_now())
        grant_role(operator=operator, domain=domain, role=role, actor=SYSTEM, now=utc_now())
        return operator

    return make


@pytest.fixture
def application_in(domains: tuple[DomainId, DomainId]) -> Callable[..., NewApplication]:
    """Makes an application for one domain, with every scope unless told."""

    def make(domain: DomainId | None = NORTH, scopes: Any = EVERY_SCOPE) -> NewApplication:
        return create_application(
            name="mill", scopes=scopes, domains=None if domain is None else [domain], actor=SYSTEM, now=utc_now()
        )

    return make


def token_of(*, domain: DomainId | None = NORTH, scopes: Any = EVERY_SCOPE) -> dict[str, str]:
    """The header of a token, as if an application of these scopes had asked: without the slow hash of a secret."""
    application = Application.objects.create(
        client_id=new_token(),
        client_secret="!",
        hash_client_secret=False,
        name="mill",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        allowed_scopes=" ".join(scopes),
        every_domain=domain is None,
        domain_ids=[str(domain)] if domain else [],
    )
    token = new_token()
    ends = utc_now() + timedelta(hours=1)
    AccessToken.objects.create(
        application=application, scope=" ".join(scopes), expires=ends, token="", token_checksum=token_hash(token)
    )
    return {"Authorization": f"Bearer {token}"}


def basic(client_id: str, client_secret: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()}


def ask_token(client: Client, application: NewApplication, **form: str) -> Any:
    """The answer of the token endpoint."""
    return client.post(
        "/oauth/token/",
        {"grant_type": "client_credentials", **form},
        headers=basic(application.client_id, application.client_secret),
    )


def bearer(client: Client, application: NewApplication, scope: str = "") -> dict[str, str]:
    """The header that a fresh token makes."""
    answer = ask_token(client, application, **({"scope": scope} if scope else {}))
    assert answer.status_code == 200, answer.content
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
