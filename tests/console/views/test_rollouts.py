"""Rolling out in the console: begun on a change's page, watched, paused, taken back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from console.core.roles import ConsoleRole
from devices.core.policy_changes import ChangeState
from devices.core.policy_document import RoleSpec
from devices.core.rollouts import Reaction, RolloutState
from devices.queries.policy import policy_document
from devices.queries.policy_changes import get_change
from devices.queries.rollouts import get_rollout, list_rollouts
from devices.services.policy_changes import draft_change
from tests.cast import ADA
from tests.console.views.test_changes import UP, act, browser, make_place

FILLED = {
    "split": "percentage", "waves": "10 %\n50", "soak": "5", "refused": "3", "lost": "4",
    "on_trouble": "roll-back", "on_unknown": "go-on",
}  # fmt: skip


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_an_approved_change_comes_in_waves_and_is_taken_back(db: None) -> None:
    north, south = make_place("north"), make_place("south")
    at_ada = browser("ada", ConsoleRole.OWNER, north.domain)
    at_bo = browser("bo", ConsoleRole.AUDITOR, north.domain)
    at_cy = browser("cy", ConsoleRole.OWNER, south.domain)
    policy = policy_document(domain=north.domain)
    more = replace(policy, roles=(*policy.roles, RoleSpec(name="zebra", rules=(UP,))))
    change = draft_change(domain=north.domain, title="More", document=more, actor=ADA, now=north.now)
    begin = f"/changes/{change.id}/rollout/"
    assert "only an approved change" in text(at_ada.get(begin))
    act(at_ada, change, "approve")
    assert begin in at_ada.get(f"/changes/{change.id}/").content.decode()
    assert begin not in at_bo.get(f"/changes/{change.id}/").content.decode()
    version = get_change(change=change.id).version
    falling = at_ada.post(begin, {**FILLED, "waves": "50\n10", "version": version})
    assert "rise from wave to wave" in text(falling)
    stale = at_ada.post(begin, {**FILLED, "version": version - 1})
    assert "look at it again" in text(stale)
    assert at_bo.post(begin, {**FILLED, "version": version}).status_code == 403
    assert at_cy.get(begin).status_code == 404
    page = at_ada.post(begin, {**FILLED, "version": version}, follow=True)
    [rollout] = list_rollouts(domains=[north.domain])
    assert (rollout.waves.parts, rollout.gate.refused, rollout.gate.on_unknown) == (
        (("10",), ("50",)), 3, Reaction.GO_ON,
    )  # fmt: skip
    assert "up to 10 % of the fleet" in text(page)
    assert "everybody else" in text(page)
    assert 'hx-trigger="every 3s"' in page.content.decode()
    listed = at_ada.get("/changes/").content.decode()
    assert "rolling out" in listed
    assert f"/changes/rollouts/{rollout.id}/" in listed

    at = f"/changes/rollouts/{rollout.id}/"
    assert at_cy.get(at).status_code == at_cy.post(at + "roll-back/").status_code == 404
    assert "Roll back" not in text(at_bo.get(at))
    assert at_bo.post(at + "pause/").status_code == at_bo.post(at + "roll-back/").status_code == 403
    at_ada.post(at + "pause/", {"version": rollout.version})
    assert get_rollout(rollout=rollout.id).state is RolloutState.PAUSED
    assert "is at version 2" in text(at_ada.post(at + "resume/", {"version": rollout.version}, follow=True))
    at_ada.post(at + "resume/", {"version": 2})
    assert "Wave 2 comes at once" in text(at_ada.get(at + "advance/"))
    assert "wave 2 of 3" in text(at_ada.post(at + "advance/", {"version": 3}, follow=True))
    assert "nothing was done" in text(at_ada.post(at + "roll-back/", {"version": 4, "number": "2"}))
    done = text(at_ada.post(at + "roll-back/", {"version": 4, "number": "1", "note": "Too loud."}, follow=True))
    assert "Too loud." in done
    assert "taken back" in done
    assert get_change(change=change.id).state is ChangeState.DRAFT
    assert "nothing left to do" in text(at_ada.get(at + "advance/"))
