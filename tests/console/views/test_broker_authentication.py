"""The authentication chain on a screen of its own: changed row by row, and tried on a CONNECT before it is saved."""

from __future__ import annotations

import html
from typing import Any

from django.test import Client

from brokers.core.decide.decisions import Identity
from brokers.services import auth_chain_of, mint_decision_secret
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from tests.console.views.scene import Scene

PATH = "/brokers/{}/authentication/"
STEP = ("username", "regex", "CN=(?P<username>[^,]+),O=.*")
TO_STEP = {"step-0-field": STEP[0], "step-0-do": STEP[1], "step-0-value": STEP[2]}
EMPTY = {"step-1-field": "", "step-1-do": "set", "step-1-value": ""}
SENT = {"rows": "2", "methods": "certificate token password", "identity": "shown", **TO_STEP, **EMPTY}


def page(client: Client, north: Scene, **sent: Any) -> str:
    return html.unescape(client.post(PATH.format(north.broker.name), SENT | sent).content.decode())


def test_steps_are_saved_and_stand_there_again(north: Scene, at_ada: Client) -> None:
    path = PATH.format(north.broker.name)
    assert at_ada.get(path).status_code == 200
    tag = auth_chain_of(broker=north.broker.id).tag
    assert at_ada.post(path, SENT | {"tag": tag, "methods": "token password"}).status_code == 302
    kept = auth_chain_of(broker=north.broker.id).chain
    assert [(step.field, step.do, step.value) for step in kept.steps] == [STEP]
    assert kept.methods == ("token", "password")
    again = html.unescape(at_ada.get(path).content.decode())
    assert STEP[2] in again
    assert "no name is believed here" in again
    for stale in (tag, ""):
        assert "was changed since you read it" in page(at_ada, north, tag=stale)
    mint_decision_secret(broker=north.broker.id, identity=Identity.SHOWN, actor=SYSTEM, now=utc_now())
    assert "by 1 step, proved by token, else password" in html.unescape(
        at_ada.get(f"/brokers/{north.broker.name}/").content.decode()
    )


def test_a_connect_is_tried_and_nothing_is_saved(north: Scene, at_ada: Client) -> None:
    north.enroll("pump-77")
    sample = {"try": "1", "username": "CN=pump-77,O=north", "client_id": "pump-77", "device": "pump-77"}
    told = page(at_ada, north, **sample)
    assert "<strong>Refused</strong> as <code>pump-77</code>" in told  # dynsec asks as go-auth does: with passwords
    assert "<code>username</code> = <code>pump-77</code>" in told
    assert "username does not match" in page(at_ada, north, **sample | {"username": "pump-77"})
    assert "no device of that auth id" in page(at_ada, north, **sample | {"device": "nobody"})
    assert "The certificate is no PEM" in page(at_ada, north, **sample | {"certificate": "x"})
    assert auth_chain_of(broker=north.broker.id).chain.steps == ()


def test_faults_stand_beside_their_step_and_nothing_typed_is_lost(north: Scene, at_ada: Client) -> None:
    told = page(at_ada, north, **{"step-1-field": "client_id", "step-1-value": "${nobody}"})
    assert "Step 2: No step before this one fills nobody" in told
    assert STEP[2] in told
    assert STEP[2] in page(at_ada, north, rows="9" * 5_000)
    assert 'name="step-2-field"' in page(at_ada, north, more="1")
    assert auth_chain_of(broker=north.broker.id).chain.steps == ()


def test_who_may_only_read_or_is_of_another_domain_changes_none(
    north: Scene, at_ada: Client, at_bo: Client, at_cy: Client
) -> None:
    path = PATH.format(north.broker.name)
    assert (at_bo.post(path, SENT).status_code, at_cy.post(path, SENT).status_code) == (403, 404)
    assert auth_chain_of(broker=north.broker.id).chain.steps == ()
