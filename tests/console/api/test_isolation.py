"""Nobody reaches what is not theirs: every endpoint of the API by anonymous, wrong scope, another domain, read only.

The endpoints come from the URL configuration: a new one is here by itself, and fails until it declares its scopes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from console.core.roles import EVERY_SCOPE, ConsoleRole
from console.models import Operator
from tests.cast import SOUTH
from tests.console.api.routes import Endpoint, endpoints
from tests.console.conftest import token_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("domains")]

OPEN = {"/api/v1/schema/", "/api/v1/enroll/", "/api/v1/renew/"}
"""Those with another proof than a caller's, or none; each has tests of its own."""
QUESTIONS = (
    "/api/v1/policy/",
    "/api/v1/brokers/<slug:name>/plan/",
    "/api/v1/groups/preview/",
    "/api/v1/profiles/<slug:certificate_profile>/preview/",
)
"""What is asked by POST and changes nothing: a plan does nothing before it is applied, and a preview not at all."""
WHOLE = {
    f"/api/v1/{noun}/"
    for noun in (
        "access-log/files",
        "bindings",
        "device-types",
        "domains",
        "enrolment-profiles",
        "enrolment-requests",
        "enrolment-tokens",
        "issuers/requests",
        "policy/denied",
        "policy/rule-use",
        "policy/suggestions",
        "token-keys",
    )
}
"""Lists that are given whole, and so know no cursor yet."""


def calls(*methods: str, of: str = "") -> list[Any]:
    """The calls with one of these methods (any, if none is given), `of` one object or of a whole list."""
    return [
        pytest.param(endpoint, method, id=f"{method} {endpoint.route}")
        for endpoint in endpoints()
        if endpoint.route not in OPEN and (not of or (of == "object") == bool(endpoint.kwargs))
        for method in endpoint.methods
        if not methods or method in methods
    ]


CALLS = calls()
NOBODYS = dict.fromkeys(
    (
        "device",
        "application",
        "group",
        "role",
        "binding",
        "token",
        "profile",
        "certificate",
        "operation",
        "enrolment_request",
        "signing_request",
        "policy_change",
        "decision_secret",
        "password",
        "rollout",
    ),
    str(uuid4()),
) | dict.fromkeys(("issuer", "slug", "name", "domain", "day", "certificate_profile", "issuer_request"), "no-such-thing")


def call(client: Client, endpoint: Endpoint, method: str, values: Mapping[str, str], headers: Any = None) -> Any:
    assert set(endpoint.kwargs) <= set(values), f"tell tests/console/api/conftest.py what {endpoint.route} names"
    return client.generic(
        method, endpoint.path(values), data="{}", content_type="application/json", headers=headers or {}
    )


def test_there_are_endpoints() -> None:
    assert len(CALLS) > 20


@pytest.mark.parametrize(("endpoint", "method"), CALLS)
def test_every_method_declares_a_scope_that_exists(endpoint: Endpoint, method: str) -> None:
    assert endpoint.scopes.get(method) in EVERY_SCOPE
    asks = method == "GET" or (endpoint.route.startswith(QUESTIONS) and not endpoint.route.endswith("/draft/"))
    assert asks == endpoint.scopes[method].endswith(":read")


@pytest.mark.parametrize(("endpoint", "method"), CALLS)
def test_anonymous_gets_401(client: Client, endpoint: Endpoint, method: str) -> None:
    answer = call(client, endpoint, method, NOBODYS)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("endpoint", "method"), CALLS)
def test_made_up_token_gets_401(client: Client, endpoint: Endpoint, method: str) -> None:
    answer = call(client, endpoint, method, NOBODYS, {"Authorization": "Bearer made-up"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-token")


@pytest.mark.parametrize(("endpoint", "method"), CALLS)
def test_every_other_scope_gets_403(client: Client, endpoint: Endpoint, method: str) -> None:
    headers = token_of(scopes=EVERY_SCOPE - {endpoint.scopes[method]})
    answer = call(client, endpoint, method, NOBODYS, headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient-scope")


@pytest.mark.parametrize(("endpoint", "method"), calls("POST", "PUT", "PATCH", "DELETE"))
def test_auditor_changes_nothing(
    client: Client, operator_in: Callable[..., Operator], endpoint: Endpoint, method: str
) -> None:
    if endpoint.scopes[method].endswith(":read"):
        pytest.skip("it only asks a question")
    client.force_login(operator_in("bo", ConsoleRole.AUDITOR))
    assert call(client, endpoint, method, NOBODYS).status_code == 403


@pytest.mark.parametrize(("endpoint", "method"), calls(of="object"))
def test_object_of_another_domain_is_404(
    client: Client, fleet: Mapping[str, str], endpoint: Endpoint, method: str
) -> None:
    answer = call(client, endpoint, method, fleet, token_of(domain=SOUTH))
    assert answer.status_code == 404, answer.content
    text = answer.content.decode()
    for kind in endpoint.kwargs:  # what the caller said itself may be said back
        text = text.replace(fleet[kind], "")
    for kind in set(fleet) - set(endpoint.kwargs):
        assert fleet[kind] not in text, kind


@pytest.mark.parametrize(("endpoint", "method"), calls("GET", of="object"))
def test_same_object_is_there_for_its_own_domain(
    client: Client, fleet: Mapping[str, str], endpoint: Endpoint, method: str
) -> None:
    answer = call(client, endpoint, method, fleet, token_of())
    assert answer.status_code in {200, 503}, answer.content  # 503: a broker that is not there


@pytest.mark.parametrize(("endpoint", "method"), calls("GET", of="list"))
def test_list_holds_nothing_of_another_domain(
    client: Client, fleet: Mapping[str, str], endpoint: Endpoint, method: str
) -> None:
    foreign = call(client, endpoint, method, fleet, token_of(domain=SOUTH))
    assert foreign.status_code == 200, foreign.content
    for kind, value in fleet.items():
        assert value not in foreign.content.decode(), kind
    named = client.get(f"{endpoint.route}?domain=north", headers=token_of(domain=SOUTH))
    assert named.status_code in {200, 404}
    for kind, value in fleet.items():
        if kind != "domain":
            assert value not in named.content.decode(), kind


@pytest.mark.parametrize(("endpoint", "method"), calls("GET", of="list"))
def test_list_is_a_page(client: Client, endpoint: Endpoint, method: str) -> None:
    headers = token_of()
    answer = call(client, endpoint, method, {}, headers)
    assert set(answer.json()) == {"results", "next", "approximate_count"}
    if endpoint.route in WHOLE:
        assert answer.json()["next"] is None
        return
    for wrong in ("limit=0", "limit=1001", "limit=x", "cursor=%25%25", "cursor=W10"):
        assert client.get(f"{endpoint.route}?{wrong}", headers=headers).status_code == 400, wrong


@pytest.mark.parametrize(("endpoint", "method"), calls("POST", "PUT"))
def test_wrong_body_is_a_problem_and_no_server_error(
    client: Client, fleet: Mapping[str, str], endpoint: Endpoint, method: str
) -> None:
    headers = token_of()
    for body in ("{", "[]", "null", '"x"', '{"no-such-member": 1}', '{"name": "\\u0000\\ud800"}'):
        path = endpoint.path(fleet)
        answer = client.generic(method, path, data=body, content_type="application/json", headers=headers)
        assert answer.status_code < 500 or answer.status_code == 503, (body, answer.content)
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
