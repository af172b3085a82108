"""/api/v1/brokers/<name>/authentication/: read, changed with If-Match, and tried on a CONNECT."""

from __future__ import annotations

from typing import Any

import pytest

from brokers import models, services
from brokers.core.values import AdapterKind
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.brokers.api.conftest import Api
from tests.brokers.fleet import Fleet
from tests.cast import ADA

PATH = "brokers/hall-7/authentication/"
STEP = {"do": "regex", "field": "username", "value": "CN=(?P<username>[^,]+),O=.*", "optional": False}
EVERY = ["certificate", "token", "password"]


@pytest.fixture
def dialect() -> str:
    return "vernemq"


@pytest.fixture(autouse=True)
def broker(api: Api, fleet: Fleet, dialect: str) -> None:
    services.register_broker(
        domain=fleet.domain.id,
        name="hall-7",
        kind=AdapterKind.HTTP_DECISIONS,
        connection={"dialect": dialect},
        actor=ADA,
        now=utc_now(),
    )


def put(api: Api, *steps: Any, tag: str = "*", **members: Any) -> Any:
    return api.client.put(
        f"/api/v1/{PATH}",
        {"steps": list(steps), **members},
        content_type="application/json",
        headers=api.headers | {"If-Match": tag},
    )


def test_a_chain_is_changed_by_who_has_read_it(api: Api) -> None:
    first = api.get(PATH)
    assert first.json() == {"steps": [], "methods": EVERY, "dialect": "vernemq"}
    changed = put(api, STEP, tag=first.headers["ETag"], methods=["token", "certificate"])
    assert changed.json() == {"steps": [STEP], "methods": ["token", "certificate"], "dialect": "vernemq"}
    assert (api.get(PATH).json(), api.get(PATH).headers["ETag"]) == (changed.json(), changed.headers["ETag"])
    late = put(api, tag=first.headers["ETag"])
    assert (late.status_code, late.json()["code"]) == (412, "version-mismatch")
    blind = api.client.put(f"/api/v1/{PATH}", {"steps": []}, content_type="application/json", headers=api.headers)
    assert (blind.status_code, blind.json()["code"]) == (428, "if-match-required")
    assert api.get(PATH).json()["steps"] == [STEP]
    entry = next(each for each in list_entries() if each.action == "brokers.auth_chain.changed")
    assert (entry.before["steps"], entry.after["steps"]) == ([], [STEP])


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        (STEP | {"value": "(a+)+"}, "/steps/0/value"),
        (STEP | {"do": "certificate", "value": "cn"}, "/steps/0/value"),
        (STEP | {"do": "exec"}, "/steps/0/do"),
        (STEP | {"then": ""}, "/steps/0/then"),
    ],
)
def test_what_is_wrong_is_told_by_step(api: Api, step: dict[str, Any], pointer: str) -> None:
    answer = put(api, step)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not models.Broker.objects.get().auth_chain


def attempt(api: Api, **members: Any) -> Any:
    answer = api.post(f"{PATH}try/", {"username": "CN=pump-1,O=north", "client_id": "pump-1"} | members)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_connect_is_tried_on_a_chain_before_it_is_saved(api: Api, fleet: Fleet) -> None:
    pem = fleet.enroll("pump-1").certificate.read_text()
    told = attempt(api, certificate=pem, chain={"steps": [STEP]})
    assert told["steps"] == [{"do": "regex", "field": "username", "gave": {"username": "pump-1"}, "fault": ""}]
    assert (told["username"], told["allowed"], told["reason"]) == ("pump-1", True, None)
    assert told["until"]
    assert attempt(api, certificate=pem)["reason"] == "unknown"  # without the chain
    bare = attempt(api, chain={"steps": [STEP]})
    assert (bare["allowed"], bare["reason"]) == (False, "bad-certificate")
    assert attempt(api, password="guess", chain={"steps": [STEP]})["why"] == "The password is not the device's."
    unfit = attempt(api, username="pump-1", chain={"steps": [STEP]})
    assert unfit["steps"][0]["fault"] == "username does not match."
    assert not models.Broker.objects.get().auth_chain


def test_a_sample_that_is_no_certificate_is_refused(api: Api) -> None:
    answer = api.post(f"{PATH}try/", {"username": "a", "client_id": "a", "certificate": "PEM"})
    assert (answer.status_code, answer.json()["code"]) == (400, "sample-unreadable")


@pytest.mark.parametrize("dialect", ["emqx", "nanomq"])
def test_the_common_name_is_told_as_the_broker_tells_it(api: Api, fleet: Fleet) -> None:
    pem = fleet.enroll("pump-1").certificate.read_text()
    chain = {"steps": [{"do": "certificate", "field": "username", "value": "cn"}]}
    told = attempt(api, certificate=pem, chain=chain, identity="certificate")
    assert (told["username"], told["allowed"]) == ("pump-1", True)
    assert not attempt(api, chain=chain, identity="certificate")["allowed"]
