"""Tokens for applications, as RFC 6749, 7009, 7662 and 8414 have them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import AccessToken

from console.core.roles import EVERY_SCOPE
from console.models import Application
from console.services.applications import NewApplication
from kernel.api.failures import MAX_FAILURES_OF_CLIENT
from tests.console.conftest import ask_token, basic, bearer

pytestmark = pytest.mark.django_db
MakeApplication = Callable[..., NewApplication]


def whole_database() -> str:
    """Every value of every table, as text."""
    found: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            found += [str(bytes(v) if isinstance(v, memoryview) else v) for row in cursor.fetchall() for v in row]
    return "\n".join(found)


def test_token_request_without_scope_gets_all_that_the_application_may_have(
    client: Client, application_in: MakeApplication
) -> None:
    answer = ask_token(client, application_in(scopes={"devices:read", "roles:write"}))
    document = answer.json()
    assert answer.status_code == 200
    assert set(document) == {"access_token", "expires_in", "scope", "token_type"}
    assert document["token_type"] == "Bearer"
    assert document["expires_in"] == 3600
    assert set(document["scope"].split()) == {"devices:read", "roles:write"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_token_request_may_ask_for_less(client: Client, application_in: MakeApplication) -> None:
    assert ask_token(client, application_in(), scope="devices:read").json()["scope"] == "devices:read"


@pytest.mark.parametrize("scope", ["devices:write", "no-such:scope", "devices:read devices:write"])
def test_scope_beyond_the_application_is_refused(client: Client, application_in: MakeApplication, scope: str) -> None:
    answer = ask_token(client, application_in(scopes={"devices:read"}), scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_wrong_secret_and_unknown_client_get_the_same_answer(client: Client, application_in: MakeApplication) -> None:
    application = application_in()
    form = {"grant_type": "client_credentials"}
    wrong = client.post("/oauth/token/", form, headers=basic(application.client_id, "wrong"))
    unknown = client.post("/oauth/token/", form, headers=basic("nobody", "wrong"))
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["error"] == "invalid_client"
    assert wrong.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"] == 'Basic realm="gatehouse"'


def test_secret_in_the_body_is_taken_too(client: Client, application_in: MakeApplication) -> None:
    application = application_in()
    form = {
        "grant_type": "client_credentials",
        "client_id": application.client_id,
        "client_secret": application.client_secret,
    }
    assert client.post("/oauth/token/", form).status_code == 200


def test_many_failures_have_to_wait_even_with_the_right_secret(client: Client, application_in: MakeApplication) -> None:
    application = application_in()
    for _ in range(MAX_FAILURES_OF_CLIENT):
        client.post(
            "/oauth/token/", {"grant_type": "client_credentials"}, headers=basic(application.client_id, "wrong")
        )
    answer = ask_token(client, application)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    elsewhere = client.post(
        "/oauth/token/",
        {"grant_type": "client_credentials"},
        headers=basic(application.client_id, application.client_secret),
        REMOTE_ADDR="192.0.2.77",
    )
    assert elsewhere.status_code == 200


@pytest.mark.parametrize("form", [{}, {"grant_type": "password", "username": "a", "password": "b"}])
def test_other_grants_are_refused(client: Client, application_in: MakeApplication, form: dict[str, str]) -> None:
    application = application_in()
    headers = basic(application.client_id, application.client_secret)
    answer = client.post("/oauth/token/", form, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"unsupported_grant_type", "invalid_request"}


def test_client_id_with_nul_is_no_server_error(client: Client, application_in: MakeApplication) -> None:
    answer = client.post("/oauth/token/", {"grant_type": "client_credentials"}, headers=basic("a\x00b", "x"))
    assert answer.status_code == 401


def test_neither_token_nor_secret_is_in_the_database(client: Client, application_in: MakeApplication) -> None:
    application = application_in()
    token = ask_token(client, application).json()["access_token"]
    everything = whole_database()
    assert application.client_id in everything
    assert token not in everything
    assert application.client_secret not in everything


def test_token_has_at_least_128_bits(client: Client, application_in: MakeApplication) -> None:
    token = ask_token(client, application_in()).json()["access_token"]
    assert len(token) >= 22  # of 62 characters, 5.95 bits each: 131 bits


def test_token_check_is_one_query(
    client: Client, application_in: MakeApplication, django_assert_num_queries: Any
) -> None:
    from console.oauth.validator import find_token

    token = ask_token(client, application_in()).json()["access_token"]
    with django_assert_num_queries(1):
        found = find_token(token, now=timezone.now())
    assert found is not None
    assert found.application.name == "mill"


def test_ended_token_is_refused(client: Client, application_in: MakeApplication) -> None:
    headers = bearer(client, application_in())
    AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))
    answer = client.get("/api/v1/journal/", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="gatehouse", error="invalid_token"'


def test_token_of_a_revoked_application_is_refused(client: Client, application_in: MakeApplication) -> None:
    application = application_in()
    headers = bearer(client, application)
    Application.objects.update(revoked_at=timezone.now())
    assert client.get("/api/v1/journal/", headers=headers).status_code == 401
    assert ask_token(client, application).status_code == 401


def test_token_loses_the_scopes_that_the_application_loses(client: Client, application_in: MakeApplication) -> None:
    headers = bearer(client, application_in())
    Application.objects.update(allowed_scopes="devices:read")
    assert client.get("/api/v1/journal/", headers=headers).status_code == 403


def test_revoked_token_is_refused(client: Client, application_in: MakeApplication) -> None:
    application = application_in()
    token = ask_token(client, application).json()["access_token"]
    own = basic(application.client_id, application.client_secret)
    assert client.post("/oauth/revoke_token/", {"token": token}, headers=own).status_code == 200
    assert client.get("/api/v1/journal/", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert client.post("/oauth/revoke_token/", {"token": token}, headers=own).status_code == 200


def test_another_application_can_not_revoke_a_token(client: Client, application_in: MakeApplication) -> None:
    mine, other = application_in(), application_in()
    token = ask_token(client, mine).json()["access_token"]
    client.post("/oauth/revoke_token/", {"token": token}, headers=basic(other.client_id, other.client_secret))
    assert client.get("/api/v1/journal/", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_introspection_tells_a_client_about_its_own_tokens_only(
    client: Client, application_in: MakeApplication
) -> None:
    mine, other = application_in(scopes={"devices:read"}), application_in()
    token = ask_token(client, mine).json()["access_token"]
    own = client.post("/oauth/introspect/", {"token": token}, headers=basic(mine.client_id, mine.client_secret))
    foreign = client.post("/oauth/introspect/", {"token": token}, headers=basic(other.client_id, other.client_secret))
    nobody = client.post("/oauth/introspect/", {"token": token})
    assert (own.json()["active"], own.json()["scope"], own.json()["client_id"]) == (
        True,
        "devices:read",
        mine.client_id,
    )
    assert foreign.json() == {"active": False}
    assert nobody.status_code == 401


@pytest.mark.parametrize("path", ["/oauth/token/", "/oauth/revoke_token/", "/oauth/introspect/"])
def test_nothing_is_taken_from_the_address(client: Client, application_in: MakeApplication, path: str) -> None:
    mine = application_in()
    address = f"{path}?client_id={mine.client_id}&client_secret={mine.client_secret}"
    form = {"grant_type": "client_credentials", "token": "x", "client_assertion": "x"}
    answer = client.post(address, form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "address" in answer.json()["error_description"]


def test_metadata_names_endpoint_and_scopes(client: Client, settings: Any) -> None:
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert document["token_endpoint"] == f"{settings.GATEHOUSE_BASE_URL}/oauth/token/"
    assert document["issuer"] == settings.GATEHOUSE_BASE_URL
    assert set(document["scopes_supported"]) == EVERY_SCOPE
    assert {"certificates:revoke", "issuers:sign", "policy:apply"} <= set(document["scopes_supported"])


@pytest.mark.parametrize("path", ["/oauth/token/", "/oauth/revoke_token/", "/oauth/introspect/"])
def test_only_post_is_answered(client: Client, path: str) -> None:
    assert client.get(path).status_code == 405
