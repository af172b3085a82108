"""Applications get no more than whoever makes them has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.models import Application, Operator
from console.services.applications import (
    NewApplication,
    TooMuchGranted,
    UnknownApplication,
    UnknownScope,
    create_application,
    renew_secret,
)
from kernel.core.actor import SYSTEM
from kernel.queries import list_entries
from tests.cast import ADA, NORTH, NOW, SOUTH
from tests.console.conftest import ask_token, token_of

pytestmark = pytest.mark.django_db
PATH = "/api/v1/applications/"


def make(**changed: Any) -> NewApplication:
    arguments: dict[str, Any] = {"name": "line", "scopes": ["devices:read"], "domains": [NORTH], "actor": ADA}
    return create_application(**{**arguments, "now": NOW, **changed})


def test_secret_is_hashed_and_hidden() -> None:
    made = make()
    assert Application.objects.get().client_secret.startswith("argon2")
    assert made.client_secret not in repr(made)
    assert made.client_secret not in repr(list_entries())


def test_unknown_scope_is_pointed_at() -> None:
    with pytest.raises(UnknownScope) as caught:
        make(scopes=["devices:read", "world:dominate"])
    assert [fault.pointer for fault in caught.value.errors] == ["/scopes"]


def test_nobody_gives_away_a_scope_that_they_lack() -> None:
    with pytest.raises(TooMuchGranted):
        make(scopes=["roles:write"], grantable=["devices:read"])


def test_renewed_secret_takes_the_place_of_the_old_one(client: Client) -> None:
    old = make()
    new = renew_secret(client_id=old.client_id, actor=SYSTEM, now=NOW)
    assert ask_token(client, old).status_code == 401
    assert ask_token(client, new).status_code == 200
    with pytest.raises(UnknownApplication):
        renew_secret(client_id="nobody", actor=SYSTEM, now=NOW)


@pytest.mark.usefixtures("domains")
def test_application_over_the_api_stays_within_its_makers_reach(client: Client) -> None:
    headers = token_of(scopes={"applications:write", "applications:read", "devices:read"})
    body = {"name": "line", "scopes": ["devices:read"]}
    made = client.post(PATH, body, content_type="application/json", headers=headers)
    wider = client.post(PATH, {**body, "scopes": ["roles:read"]}, content_type="application/json", headers=headers)
    elsewhere = client.post(PATH, {**body, "domains": ["south"]}, content_type="application/json", headers=headers)
    assert (made.status_code, wider.status_code, elsewhere.status_code) == (201, 403, 404)
    assert made.headers["Cache-Control"] == "no-store"
    row = Application.objects.get(client_id=made.json()["client_id"])
    assert (row.domain_ids, row.every_domain, row.scope_set) == ([str(NORTH)], False, {"devices:read"})


@pytest.mark.usefixtures("domains")
def test_list_is_paged_and_says_when_each_was_used(client: Client) -> None:
    headers = token_of(scopes={"applications:read"})  # stands in the list itself
    made = [make(name=f"line {number}") for number in range(3)]
    make(domains=[SOUTH])
    ask_token(client, made[2])
    first = client.get(f"{PATH}?limit=3", headers=headers).json()
    rest = client.get(f"{PATH}?limit=3&cursor={first['next']}", headers=headers).json()
    names = [row["name"] for row in first["results"] + rest["results"]]
    assert names == ["mill", "line 0", "line 1", "line 2"]
    assert [row["last_used_at"] is not None for row in rest["results"]] == [True]
    assert rest["next"] is None


def test_application_of_every_domain_sees_new_ones(
    client: Client, application_in: Callable[..., NewApplication], operator_in: Callable[..., Operator]
) -> None:
    answer = client.get("/api/v1/domains/", headers=token_of(domain=None))
    assert [domain["slug"] for domain in answer.json()["results"]] == ["north", "south"]
