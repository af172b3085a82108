from __future__ import annotations

from typing import Any, cast

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from acl.api.views import RoleListView, RoleView
from kernel.core.actor import Actor
from kernel.core.caller import Caller, DomainRef
from kernel.core.ids import new_id
from tests.cast import ADA, BO, CY, NORTH, SOUTH

pytestmark = pytest.mark.django_db

NORTHERN, SOUTHERN = DomainRef(id=NORTH, slug="north"), DomainRef(id=SOUTH, slug="south")
ALL = frozenset({"roles:read", "roles:write"})
UP = {
    "effect": "allow",
    "actions": ["publish"],
    "topic": "${domain}/${client_id}/up/#",
    "qos": [0, 1],
    "retain": "never",
}


def as_(actor: Actor, *domains: DomainRef, scopes: frozenset[str] = ALL) -> Caller:
    return Caller(actor=actor, domains=domains, scopes=scopes)


ada, bo, cy = as_(ADA, NORTHERN), as_(BO, NORTHERN, scopes=frozenset({"roles:read"})), as_(CY, SOUTHERN)


def call(method: str, caller: Caller, body: Any = None, *, role: str = "", query: str = "", **headers: str) -> Response:
    path = f"/api/v1/roles/{role}{'/' if role else ''}{query}"
    request = APIRequestFactory().generic(method, path) if body is None else None
    if request is None:
        request = getattr(APIRequestFactory(), method.lower())(path, body, format="json")
    request.META.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    force_authenticate(request, user=AnonymousUser(), token=cast("Any", caller))
    view = RoleView.as_view() if role else RoleListView.as_view()
    answer: Response = view(request, **({"role": role} if role else {}))
    return answer


def made(name: str = "pump", caller: Caller = ada) -> dict[str, Any]:
    answer = call("POST", caller, {"name": name, "rules": [UP]})
    assert answer.status_code == 201, answer.data
    return dict(answer.data)


def faults(answer: Response) -> list[tuple[str, str]]:
    return [(fault["pointer"], fault["code"]) for fault in answer.data["errors"]]


def test_a_role_is_made_and_read() -> None:
    role = made()
    answer = call("GET", bo, role=role["id"])
    assert answer.data == role
    assert answer.headers["ETag"] == '"1"'
    (rule,) = role["rules"]
    assert {name: rule[name] for name in UP} == UP
    assert (rule["shared"], rule["shared_group"], role["domain"]) == ("any", None, "north")


def test_every_fault_of_a_rule_has_its_pointer() -> None:
    rules = [{**UP, "topic": "a#"}, {**UP, "actions": ["subscribe"]}]
    answer = call("POST", ada, {"name": "pump", "rules": rules})
    assert answer.status_code == 400
    assert faults(answer) == [("/rules/0/topic", "invalid-topic"), ("/rules/1/retain", "publish-only")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "pump"}, "/rules"),
        ({"rules": [UP]}, "/name"),
        ({"name": "pump", "rules": [{**UP, "effect": "perhaps"}]}, "/rules/0/effect"),
        ({"name": "pump", "rules": [{**UP, "actions": []}]}, "/rules/0/actions"),
        ({"name": "pump", "rules": [{**UP, "actions": ["fly"]}]}, "/rules/0/actions/0"),
        ({"name": "pump", "rules": [{**UP, "qos": [3]}]}, "/rules/0/qos/0"),
        ({"name": "pump", "rules": [{**UP, "retian": "never"}]}, "/rules/0/retian"),
        ({"name": "pump", "rules": "all"}, "/rules"),
        ({"name": "pump", "rules": [UP, UP]}, "/rules/1"),
        ({"name": "bad name", "rules": [UP]}, "/name"),
    ],
)
def test_wrong_input_is_refused_with_its_place(body: dict[str, Any], pointer: str) -> None:
    answer = call("POST", ada, body)
    assert answer.status_code == 400
    assert [place for place, _ in faults(answer)] == [pointer]


def test_a_name_is_taken_once() -> None:
    made()
    answer = call("POST", ada, {"name": "pump", "rules": [UP]})
    assert (answer.status_code, answer.data["code"]) == (409, "role-name-taken")


def test_a_role_is_changed_with_what_was_read_of_it() -> None:
    role = made()
    role["rules"].append({"effect": "deny", "actions": ["subscribe"], "topic": "secret/#"})
    answer = call("PUT", ada, role, role=role["id"], if_match='"1"')
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"2"'
    assert answer.data["rules"][0] == role["rules"][0]
    assert answer.data["rules"][1]["topic"] == "secret/#"


@pytest.mark.parametrize("tag", ['"2"', 'W/"1"', "1", '"x"'])
def test_a_change_of_another_version_is_refused(tag: str) -> None:
    role = made()
    for method, body in (("PUT", role), ("DELETE", None)):
        answer = call(method, ada, body, role=role["id"], if_match=tag)
        assert (answer.status_code, answer.data["code"]) == (412, "version-mismatch")


def test_nobody_replaces_a_role_unread() -> None:
    role = made()
    blind = call("PUT", ada, role | {"rules": []}, role=role["id"])
    assert (blind.status_code, blind.data["code"]) == (428, "if-match-required")
    assert len(call("GET", ada, role=role["id"]).data["rules"]) == 1
    assert call("PUT", ada, role | {"rules": []}, role=role["id"], if_match="*").status_code == 200


def test_a_role_is_deleted_once() -> None:
    role = made()
    assert call("DELETE", ada, role=role["id"], if_match="*").status_code == 204
    assert call("DELETE", ada, role=role["id"]).status_code == 404
    assert call("GET", ada, role=role["id"]).status_code == 404


def test_lists_are_paged_and_hold_the_domain_s_roles_alone() -> None:
    for name in ("c", "a", "b"):
        made(name)
    made("d", caller=cy)
    first = call("GET", bo, query="?limit=2").data
    assert ([role["name"] for role in first["results"]], first["approximate_count"]) == (["a", "b"], 3)
    second = call("GET", bo, query=f"?limit=2&cursor={first['next']}").data
    assert ([role["name"] for role in second["results"]], second["next"]) == (["c"], None)
    assert [role["name"] for role in call("GET", bo, query="?name=b").data["results"]] == ["b"]
    both = as_(ADA, NORTHERN, SOUTHERN)
    assert [role["domain"] for role in call("GET", both).data["results"]] == ["north", "north", "north", "south"]
    assert [role["name"] for role in call("GET", both, query="?domain=south").data["results"]] == ["d"]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?limit=\u00b2", "?cursor=x", "?cursor=WzFd"])
def test_wrong_parameters_are_refused(query: str) -> None:
    assert call("GET", ada, query=query).status_code == 400


def test_another_domain_s_role_is_not_there() -> None:
    role = made()
    for method, body in (("GET", None), ("PUT", role), ("DELETE", None)):
        assert call(method, cy, body, role=role["id"]).status_code == 404
    assert call("GET", cy, query="?domain=north").status_code == 404
    assert call("POST", cy, {"name": "x", "rules": [UP], "domain": "north"}).status_code == 404


def test_who_may_read_only_changes_nothing() -> None:
    role = made()
    for method, body, id_ in (("POST", role, ""), ("PUT", role, role["id"]), ("DELETE", None, role["id"])):
        assert call(method, bo, body, role=id_).status_code == 403


def test_who_acts_in_several_domains_says_which() -> None:
    both = as_(ADA, NORTHERN, SOUTHERN)
    assert call("POST", both, {"name": "x", "rules": [UP]}).data["code"] == "domain-required"
    assert call("POST", both, {"name": "x", "rules": [UP], "domain": "south"}).data["domain"] == "south"


def test_a_role_that_never_was_is_not_found() -> None:
    assert call("GET", ada, role=str(new_id())).status_code == 404


def test_nobody_comes_in_without_a_token(client: Client) -> None:
    assert client.get("/api/v1/roles/").status_code == 401
    assert client.post("/api/v1/roles/", {}, content_type="application/json").status_code == 401


def test_other_methods_are_refused() -> None:
    assert call("PATCH", ada, {}, role=str(new_id())).status_code in {403, 405}
