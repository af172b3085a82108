"""Changes: from a role to a draft, its effect, four eyes, apply and the way back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Role, Shared
from acl.queries import find_role
from acl.services import change_role, create_role
from console.core.roles import ConsoleRole
from console.views.role_forms import RuleForms
from devices import services as devices
from devices.core.policy_changes import ApprovalRule, ChangeState, PolicyChange
from devices.core.values import DeviceState
from devices.models import Device
from devices.queries.policy_changes import approval_rule_of, get_change, list_changes
from devices.services.bindings import BindingTarget
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId
from tests.cast import ADA
from tests.console.views.conftest import browser_of
from tests.console.views.scene import make_operator

UP = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="${domain}/${client_id}/up/#")
STOP = {"effect": "deny", "actions": "publish", "topic": "north/stop", "qos": "0 1 2", "retain": "any", "shared": "any"}


def rows(*rules: dict[str, str]) -> dict[str, str]:
    """The rows of a role's form."""
    sent = {f"rule-{n}-{name}": value for n, rule in enumerate(rules) for name, value in rule.items()}
    return sent | {"rows": str(len(rules))}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A domain with roles and one active pump, made without a CA: nothing here needs certificates."""

    domain: DomainId
    role: Role
    now: datetime


def make_place(slug: str) -> Place:
    now = utc_now()
    domain = devices.create_domain(slug=slug, name=slug, actor=ADA, now=now).id
    role = create_role(domain=domain, name="device-default", rules=[UP], actor=ADA, now=now)
    create_role(domain=domain, name="quarantine", rules=[UP], actor=ADA, now=now)
    devices.create_device_type(domain=domain, name="pump", schema={}, actor=ADA, now=now)
    devices.bind_role(domain=domain, role=role.id, target=BindingTarget(domain=slug), actor=ADA, now=now)
    devices.register_device(domain=domain, name="pump-01", device_type="pump", actor=ADA, now=now)
    Device.objects.update(state=DeviceState.ACTIVE)
    return Place(domain=domain, role=role, now=now)


@pytest.fixture
def north(db: None) -> Place:
    return make_place("north")


def browser(name: str, role: ConsoleRole, domain: DomainId) -> Client:
    return browser_of(make_operator(name, role, domain, now=utc_now()))


@pytest.fixture
def at_ada(north: Place) -> Client:
    return browser("ada", ConsoleRole.OWNER, north.domain)


@pytest.fixture
def at_bo(north: Place) -> Client:
    return browser("bo", ConsoleRole.AUDITOR, north.domain)


@pytest.fixture
def at_cy(db: None) -> Client:
    return browser("cy", ConsoleRole.OWNER, make_place("south").domain)


@pytest.fixture
def change(north: Place, at_ada: Client) -> PolicyChange:
    """A draft of ada's in which device-default has one rule, a deny."""
    address = at_ada.post(f"/roles/{north.role.id}/draft/")["Location"]
    body = {"name": "device-default", "description": "Less.", "version": "1", **rows(STOP)}
    assert at_ada.post(address, body).status_code == 302
    [row] = list_changes(domains=[north.domain])
    return get_change(change=row.id)


@pytest.fixture
def at_eve(north: Place) -> Client:
    """The security officer of north."""
    return browser("eve", ConsoleRole.SECURITY_OFFICER, north.domain)


def act(at: Client, change: PolicyChange, name: str, **more: Any) -> Any:
    version = get_change(change=change.id).version
    return at.post(f"/changes/{change.id}/{name}/", {"version": version, **more}, follow=True)


def rules_of(domain: DomainId) -> list[str]:
    found = find_role(domain=domain, name="device-default")
    assert found is not None
    return [rule.topic for rule in found.rules]


def state_of(change: PolicyChange) -> ChangeState:
    return get_change(change=change.id).state


def test_draft_shows_what_it_changes_and_what_that_does(change: PolicyChange, at_ada: Client) -> None:
    page = at_ada.get(f"/changes/{change.id}/").content.decode()
    assert "<ins>deny publish <code>north/stop</code>" in page
    assert f'hx-get="/changes/{change.id}/effect/"' in page
    effect = at_ada.get(f"/changes/{change.id}/effect/").content.decode()
    assert "publish <code>${domain}/${client_id}/" in effect
    assert "pump-01" in effect
    assert rules_of(change.domain) == [UP.topic]


def test_change_is_approved_applied_and_rolled_back(change: PolicyChange, at_ada: Client) -> None:
    act(at_ada, change, "approve")
    page = act(at_ada, change, "apply").content.decode()
    assert "no broker of the domain is concerned" in page
    assert state_of(change) is ChangeState.APPLIED
    assert rules_of(change.domain) == ["north/stop"]
    act(at_ada, change, "roll-back")
    back = get_change(change=list_changes(domains=[change.domain])[0].id)
    assert back.rolls_back == change.id
    act(at_ada, back, "approve")
    act(at_ada, back, "apply")
    assert rules_of(change.domain) == [UP.topic]
    assert state_of(change) is ChangeState.ROLLED_BACK


def test_four_eyes_are_chosen_by_the_owner_and_hold(
    north: Place, change: PolicyChange, at_ada: Client, at_eve: Client
) -> None:
    assert at_eve.post("/changes/_approval/", {"rule": "other-operator"}).status_code == 403
    at_ada.post("/changes/_approval/", {"rule": "other-operator"})
    assert approval_rule_of(domain=north.domain) is ApprovalRule.OTHER_OPERATOR
    refused = act(at_ada, change, "approve").content.decode()
    assert "ask another operator to approve it" in refused
    assert state_of(change) is ChangeState.DRAFT
    act(at_eve, change, "approve")
    assert state_of(change) is ChangeState.APPROVED


def test_roles_are_not_written_past_four_eyes_and_nothing_typed_is_lost(north: Place, at_ada: Client) -> None:
    at_ada.post("/changes/_approval/", {"rule": "other-operator"})
    body = {"name": "device-default", "description": "typed", "version": "1", **rows(STOP)}
    page = at_ada.post(f"/roles/{north.role.id}/edit/", body).content.decode()
    assert "make a draft under Changes" in page
    assert 'value="typed"' in page
    page = at_ada.post(f"/roles/{north.role.id}/bindings/", {"via": "domain"}).content.decode()
    assert "make a draft under Changes" in page


def test_two_who_write_one_role_meet_the_version(change: PolicyChange, at_ada: Client, at_eve: Client) -> None:
    address = f"/changes/{change.id}/roles/device-default/"
    body = {"name": "device-default", "description": "Mine.", "version": str(change.version), **rows(STOP)}
    assert at_ada.post(address, body).status_code == 302
    late = at_eve.post(address, {**body, "description": "Theirs."})
    assert late.status_code == 200
    assert "look at it again, then repeat" in late.content.decode()
    assert get_change(change=change.id).document.roles[0].description == "Mine."


def test_act_upon_another_version_than_was_seen_is_refused(change: PolicyChange, at_ada: Client) -> None:
    page = at_ada.post(f"/changes/{change.id}/approve/", {"version": change.version - 1}, follow=True)
    assert "look at it again" in page.content.decode()
    at_ada.post(f"/changes/{change.id}/approve/")
    assert state_of(change) is ChangeState.DRAFT


def test_conflict_is_shown_and_decided(north: Place, change: PolicyChange, at_ada: Client) -> None:
    other = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic="north/elsewhere")
    change_role(role=north.role.id, rules=[other], actor=ADA, now=north.now)
    page = at_ada.get(f"/changes/{change.id}/").content.decode()
    assert "The role device-default" in page
    assert "north/elsewhere" in page
    assert "conflict" in act(at_ada, change, "rebase").content.decode()
    act(at_ada, change, "rebase", **{"role:device-default": "present"})
    assert get_change(change=change.id).document == get_change(change=change.id).base


def test_binding_and_quarantine_are_written_in_the_draft(change: PolicyChange, at_ada: Client) -> None:
    address = f"/changes/{change.id}/roles/device-default/"

    def send(name: str, **body: str) -> None:
        version = str(get_change(change=change.id).version)
        assert at_ada.post(f"{address}{name}/", {"version": version, **body}).status_code == 302

    send("bind", via="device", target="pump-01")
    send("quarantine", chosen="1")
    found = get_change(change=change.id).document
    assert found.quarantine_role == "device-default"
    assert {binding.target for binding in found.bindings} >= {"pump-01"}
    send("unbind", via="device", target="pump-01")
    send("remove")
    assert [role.name for role in get_change(change=change.id).document.roles] == ["quarantine"]


def test_roles_of_a_draft_are_listed_with_how_often_they_are_bound(change: PolicyChange, at_ada: Client) -> None:
    page = at_ada.get(f"/changes/{change.id}/roles/").content.decode()
    numbers = re.findall(r'<td class="number">([0-9]+)</td>', page)
    assert numbers[1::2] == ["1", "0"]  # device-default for the whole domain, quarantine for nobody


def test_fault_stands_beside_its_rule(change: PolicyChange, at_ada: Client) -> None:
    address = f"/changes/{change.id}/new-role/"
    wrong = {**STOP, "topic": "a/#/b"}
    body = {"name": "gates", "description": "", "version": str(change.version), **rows(STOP, wrong)}
    page = at_ada.post(address, body).content.decode()
    assert re.search(r'id="id_rule-1-topic_error"', page), page
    assert "id_rule-0-topic_error" not in page


def test_auditor_sees_and_does_nothing(change: PolicyChange, at_bo: Client) -> None:
    assert at_bo.get(f"/changes/{change.id}/").status_code == 200
    for name in ("approve", "reject", "withdraw", "rebase", "apply", "roll-back"):
        assert at_bo.post(f"/changes/{change.id}/{name}/", {"version": change.version}).status_code == 403
    assert at_bo.post("/changes/", {"title": "Mine"}).status_code == 403
    assert at_bo.get(f"/changes/{change.id}/roles/").status_code == 403
    assert state_of(change) is ChangeState.DRAFT


def test_change_of_another_domain_is_not_there(change: PolicyChange, at_cy: Client) -> None:
    for path in ("", "effect/", "roles/", "new-role/", "roles/device-default/"):
        assert at_cy.get(f"/changes/{change.id}/{path}").status_code == 404, path
    assert at_cy.post(f"/changes/{change.id}/approve/", {"version": change.version}).status_code == 404
    assert change.title not in at_cy.get("/changes/").content.decode()


def test_list_is_narrowed_by_state(change: PolicyChange, at_ada: Client) -> None:
    assert change.title in at_ada.get("/changes/?state=draft").content.decode()
    assert change.title not in at_ada.get("/changes/?state=applied").content.decode()
    assert "No change was applied yet" in at_ada.get("/changes/?state=history").content.decode()
    assert at_ada.get("/changes/?state=lost").status_code == 400


def test_form_of_rules_keeps_what_it_does_not_show() -> None:
    """A shared group that were lost on the way through the form would open the rule to every group."""
    rule = RuleSpec(
        effect=Effect.ALLOW,
        actions=frozenset({Action.SUBSCRIBE}),
        topic="jobs/#",
        qos=frozenset({0, 2}),
        shared=Shared.ONLY,
        shared_group="workers",
    )
    shown = RuleForms(None, rules=[rule])
    sent = {f"rule-0-{field.name}": str(field.value()) for field in shown.rows[0]}
    query = QueryDict(mutable=True)
    query.update({**sent, "rows": "1"})
    back = RuleForms(query)
    assert back.is_valid()
    assert back.specs() == [rule]
