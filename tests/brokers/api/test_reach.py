"""/api/v1/policy/reach/: who makes whom hear what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acl.core.values import Action
from console.core.roles import EVERY_SCOPE
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import PUMP_RULES, Fleet, allow, deny


def flows(api: Api, **body: object) -> list[tuple[str, int, int]]:
    answer = api.post("policy/reach/", body)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["flows"]
    return [(flow["filter"], flow["publisher"]["devices"], flow["subscriber"]["devices"]) for flow in found]


def test_devices_that_keep_to_themselves_reach_nobody(api: Api, fleet: Fleet) -> None:
    fleet.enroll("p-1")
    assert flows(api, publishers={"domain": "north"}) == []


def test_a_rule_for_all_reaches_all_but_what_is_denied(api: Api, fleet: Fleet) -> None:
    fleet.enroll("p-1")
    fleet.enroll("p-2")
    fleet.change_role(
        *PUMP_RULES, allow(Action.SUBSCRIBE, "north/+/up/#"), deny(Action.SUBSCRIBE, "${domain}/+/up/secret/#")
    )
    answer = api.post("policy/reach/", {"publishers": {"device": "p-1"}, "subscribers": {"device_type": "pump"}}).json()
    [flow] = answer["flows"]
    assert (flow["filter"], flow["without"]) == ("north/${client_id}/up/#", ["north/${client_id}/up/secret/#"])
    assert (flow["publisher"]["role"], flow["publisher"]["devices"]) == ("pump", 1)
    assert (flow["subscriber"]["role"], flow["subscriber"]["devices"]) == ("pump", 2)
    assert (flow["to_itself"], answer["bounded"]) == (False, False)


def test_what_a_device_only_tells_itself_is_marked(api: Api, fleet: Fleet) -> None:
    fleet.enroll("p-1")
    fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "${domain}/${client_id}/up/#"))
    [flow] = api.post("policy/reach/", {"publishers": {"domain": "north"}}).json()["flows"]
    assert flow["to_itself"] is True
    assert flow["where"] == [{"left": "${client_id}", "right": "${subscriber.client_id}"}]


def test_a_flow_that_another_roles_deny_takes_from_everybody_is_left_out(api: Api, fleet: Fleet) -> None:
    fleet.enroll("p-1")
    fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "north/+/up/#"))
    assert flows(api, publishers={"domain": "north"}) == [("north/${client_id}/up/#", 1, 1)]
    fleet.change_role(*PUMP_RULES, allow(Action.SUBSCRIBE, "north/+/up/#"), deny(Action.PUBLISH, "+/+/up/#"))
    assert flows(api, publishers={"domain": "north"}) == []


def test_domains_do_not_reach_each_other_unless_a_rule_says_so(fleet: Fleet, caller: Caller, tmp_path: Path) -> None:
    south = Fleet(tmp_path, slug="south")
    fleet.enroll("p-1")
    south.enroll("s-1")
    both = caller(fleet.domain.id, EVERY_SCOPE)
    asked = {"publishers": {"domain": "north"}, "subscribers": {"domain": "south"}}
    assert both.post("policy/reach/", asked).status_code == 404  # it may not see south


def test_wrong_sets_are_refused(api: Api, fleet: Fleet) -> None:
    wrong: list[dict[str, object]] = [
        {},
        {"publishers": {"group": "a", "device": "b"}},
        {"publishers": {"role": "a"}},
        {"publishers": {"group": "nothing"}},
        {"publishers": {"domain": "elsewhere"}},
    ]
    for body in wrong:
        assert api.post("policy/reach/", body).status_code in {400, 403, 404, 422}, body
