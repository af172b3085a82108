"""/api/v1/rollouts/ as programs use it."""

from __future__ import annotations

from dataclasses import replace

from console.core.roles import EVERY_SCOPE
from devices import services as devices
from devices.core.policy_changes import PolicyChange
from devices.queries.policy import policy_document
from devices.services import policy_changes
from kernel.core.clock import utc_now
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import Fleet
from tests.cast import ADA


def approved(fleet: Fleet) -> PolicyChange:
    """Pumps have no rule any more."""
    policy = policy_document(domain=fleet.domain.id)
    after = replace(policy, roles=tuple(replace(role, rules=role.rules[:1]) for role in policy.roles))
    made = policy_changes.draft_change(domain=fleet.domain.id, title="Less", document=after, actor=ADA, now=utc_now())
    return policy_changes.approve_change(change=made.id, actor=ADA, now=utc_now())


def test_a_rollout_from_its_begin_to_its_end(api: Api, fleet: Fleet, caller: Caller) -> None:
    change = approved(fleet)
    asked = {"change": str(change.id), "by": "percentage", "waves": [1, 50], "soak_seconds": 60, "on_unknown": "go-on"}
    answer = api.post("rollouts/", asked)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["state"], made["wave"], made["of"], made["by"], made["soak_seconds"], made["lost_percent"]) == (
        "running", 1, 3, "percentage", 60, 5,
    )  # fmt: skip
    assert [(wave["number"], wave["names"], wave["state"]) for wave in made["waves"]] == [
        (1, ["1"], "waiting"), (2, ["50"], "to-come"), (3, [], "to-come"),
    ]  # fmt: skip
    path = f"rollouts/{made['id']}/"
    assert api.get(path).headers["ETag"] == answer.headers["ETag"] == '"1"'
    assert api.get(f"policy-changes/{change.id}/").json()["state"] == "rolling-out"

    api.headers["If-Match"] = '"1"'
    paused = api.post(path + "pause/", {"note": "Lunch."})
    assert (paused.json()["state"], paused.json()["note"]) == ("paused", "Lunch.")
    late = api.post(path + "resume/")
    assert (late.status_code, late.json()["code"]) == (412, "version-mismatch")
    del api.headers["If-Match"]
    assert api.post(path + "resume/").json()["state"] == "running"
    assert api.post(path + "advance/").json()["wave"] == 2
    back = api.post(path + "roll-back/", {"note": "No."})
    assert (back.json()["state"], back.json()["waves"][0]["state"]) == ("rolled-back", "taken-back")
    over = api.post(path + "advance/")
    assert (over.status_code, over.json()["code"]) == (409, "rollout-state")

    page = api.get("rollouts/?limit=1").json()
    assert ([row["id"] for row in page["results"]], page["next"], page["approximate_count"]) == ([made["id"]], None, 1)
    reader = caller(fleet.domain.id, ["policy:read", "policy:write", "policy:approve"])
    assert reader.get(path).status_code == 200
    assert reader.post(path + "roll-back/").status_code == 403
    south = devices.create_domain(slug="south", name="South", actor=ADA, now=utc_now())
    stranger = caller(south.id, EVERY_SCOPE)
    assert stranger.get(path).status_code == stranger.post(path + "roll-back/").status_code == 404
    assert stranger.post("rollouts/", asked).status_code == 404
    assert stranger.get("rollouts/").json()["results"] == []


def test_what_can_not_be_begun_is_said(api: Api, fleet: Fleet) -> None:
    change = approved(fleet)
    whole = {"change": str(change.id), "by": "group", "waves": [["pilot"]]}
    for wrong, code in (
        ({"waves": [["nobody"]]}, "rollout-waves"),
        ({"waves": [["a\0"]]}, "unstorable-text"),
        ({"waves": []}, "invalid"),
        ({"waves": ["nobody"]}, "invalid"),
        ({"waves": [1, True]}, "invalid"),
        ({"by": "percentage", "waves": [[1]]}, "invalid"),
        ({"by": "percentage", "waves": [100]}, "rollout-waves"),
        ({"by": "broker", "waves": [["hall-7"]]}, "rollout-waves"),
        ({"by": "moon"}, "invalid"),
        ({"on_trouble": "go-on"}, "invalid"),
        ({"soak_seconds": -1}, "invalid"),
        ({"surplus": 1}, "invalid"),
    ):
        answer = api.post("rollouts/", {**whole, **wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, code), (wrong, answer.content)
    assert api.get("rollouts/").json()["results"] == []
