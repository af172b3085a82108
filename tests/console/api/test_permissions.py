"""What a view does not declare is refused; what is declared is narrowed to the domains where it holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.core.roles import ConsoleRole
from console.models import Operator
from console.services.applications import NewApplication
from console.services.operators import grant_role
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from tests.cast import SOUTH
from tests.console.conftest import bearer

pytestmark = pytest.mark.django_db
PATH = "/api/v1/undeclared/"


@pytest.fixture
def token(client: Client, application_in: Callable[..., NewApplication]) -> dict[str, str]:
    return bearer(client, application_in())


@pytest.fixture
def faulty_urls(settings: object, token: dict[str, str]) -> None:
    settings.ROOT_URLCONF = "tests.console.api.faulty_urls"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("faulty_urls")
def test_method_without_a_declared_scope_is_refused_even_to_who_has_every_scope(
    client: Client, token: dict[str, str]
) -> None:
    assert client.get(PATH, headers=token).status_code == 200
    answer = client.post(PATH, headers=token)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient-scope")


@pytest.mark.usefixtures("faulty_urls")
def test_application_sees_its_own_domains(client: Client, token: dict[str, str]) -> None:
    assert client.get(PATH, headers=token).json() == {"domains": ["north"]}


def test_operator_has_the_scope_only_where_the_role_gives_it(
    client: Client, operator_in: Callable[..., Operator]
) -> None:
    ada = operator_in("ada", ConsoleRole.OWNER)
    grant_role(operator=ada, domain=SOUTH, role=ConsoleRole.AUDITOR, actor=SYSTEM, now=utc_now())
    client.force_login(ada)
    made = client.post(
        "/api/v1/applications/",
        {"name": "a", "scopes": ["devices:read"], "domains": ["south"]},
        content_type="application/json",
    )
    seen = client.get("/api/v1/journal/?domain=south")
    assert made.status_code == 404
    assert seen.status_code == 200


def test_session_needs_the_csrf_token_to_write(operator_in: Callable[..., Operator]) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator_in("ada", ConsoleRole.OWNER))
    body = {"name": "a", "scopes": ["devices:read"]}
    answer = strict.post("/api/v1/applications/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


def test_bearer_token_needs_no_csrf_token(client: Client, token: dict[str, str]) -> None:
    strict = Client(enforce_csrf_checks=True)
    body = {"name": "a", "scopes": ["devices:read"]}
    assert strict.post("/api/v1/applications/", body, content_type="application/json", headers=token).status_code == 201


def test_operator_who_was_switched_off_is_nobody(client: Client, operator_in: Callable[..., Operator]) -> None:
    ada = operator_in("ada", ConsoleRole.OWNER)
    client.force_login(ada)
    Operator.objects.update(is_active=False)
    assert client.get("/api/v1/journal/").status_code == 401
