"""VerneMQ: the bodies of its six hooks, and the answers that it reads."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from brokers.core.decide.decisions import Asked, Identity
from brokers.core.decide.dialects import call_of
from tests.brokers.core.deciding import answered, document

REFUSED = {"result": {"error": "not_allowed"}}
OK = {"result": "ok"}
CERTIFICATE = base64.b64encode(b"good").decode()


def said(asked: Asked, *, identity: Identity = Identity.SHOWN) -> Any:
    call = call_of("vernemq", asked.hook)
    assert call
    answer = answered(call, asked, identity=identity)
    assert (answer.status, answer.content_type) == (200, "application/json")
    return json.loads(answer.body)


def register(hook: str = "auth_on_register", **changes: Any) -> Asked:
    members = {
        "peer_addr": "192.0.2.7", "peer_port": 41000, "mountpoint": "", "client_id": "pump-1", "username": "pump-1",
        "password": None, "clean_session": True, "listener_type": "mqtts", "client_cert": CERTIFICATE,
    }  # fmt: skip
    return document(hook, **members | changes)


@pytest.mark.parametrize("hook", ["auth_on_register", "auth_on_register_m5"])
def test_a_certificate_lets_its_device_in_without_a_password(hook: str) -> None:
    assert said(register(hook)) == OK


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_cert": None},
        {"client_cert": ""},
        {"client_cert": "YmFk"},
        {"client_cert": "no base64!"},
        {"client_id": "pump-2"},
        {"client_id": None},
        {"username": None},
        {"username": "pump-2"},
    ],
)
def test_every_other_registration_is_refused_and_never_left_to_the_next(wrong: dict[str, Any]) -> None:
    assert said(register(**wrong)) == REFUSED


def test_without_a_certificate_names_are_believed_only_if_the_secret_says_so_and_there_is_no_password() -> None:
    believing = Identity.CERTIFICATE
    assert said(register(client_cert=None), identity=believing) == OK
    assert said(register(client_cert="YmFk"), identity=believing) == REFUSED
    assert said(register(client_cert=None, password=""), identity=believing) == REFUSED
    assert said(register(client_cert=None, password="x"), identity=believing) == REFUSED


@pytest.mark.parametrize("identity", Identity)
def test_a_password_is_judged_if_there_is_no_certificate(identity: Identity) -> None:
    assert said(register(client_cert=None, password="correct horse"), identity=identity) == OK
    assert said(register(client_cert=None, password="correct house"), identity=identity) == REFUSED
    assert said(register(client_cert="YmFk", password="correct horse"), identity=identity) == REFUSED
    assert said(register(client_cert=None, password=1), identity=identity) == REFUSED


def publish(hook: str = "auth_on_publish", **changes: Any) -> Asked:
    members = {
        "username": "pump-1", "mountpoint": "", "client_id": "pump-1", "qos": 1, "topic": "north/pump-1/up/t",
        "payload": "aGk=", "retain": False,
    }  # fmt: skip
    return document(hook, **members | changes)


def test_a_publish_is_judged_by_its_topic() -> None:
    assert said(publish()) == OK
    assert said(publish("auth_on_publish_m5")) == OK
    for wrong in ({"topic": "north/pump-2/up/t"}, {"client_id": "pump-2"}, {"qos": None}, {"retain": None}):
        assert said(publish(**wrong)) == REFUSED


def subscribe(hook: str, *topics: tuple[str, int]) -> Asked:
    wanted = [{"topic": topic, "qos": qos} for topic, qos in topics]
    return document(hook, username="pump-1", mountpoint="", client_id="pump-1", topics=wanted)


MINE, OTHERS = ("north/pump-1/down/#", 1), ("north/pump-2/down/#", 2)


def test_each_filter_of_a_subscription_has_its_own_answer() -> None:
    assert said(subscribe("auth_on_subscribe", MINE)) == OK
    assert said(subscribe("auth_on_subscribe", OTHERS)) == REFUSED
    assert said(subscribe("auth_on_subscribe", MINE, OTHERS)) == {
        "result": "ok",
        "topics": [{"topic": MINE[0], "qos": 1}, {"topic": OTHERS[0], "qos": 128}],
    }
    assert said(subscribe("auth_on_subscribe_m5", OTHERS, MINE)) == {
        "result": "ok",
        "modifiers": {"topics": [{"topic": OTHERS[0], "qos": 135}, {"topic": MINE[0], "qos": 1}]},
    }


def test_a_shared_subscription_is_judged_by_its_filter_and_named_as_it_came() -> None:
    shared = ("$share/g/north/all/x", 0)
    assert said(subscribe("auth_on_subscribe", shared)) == OK
    mixed = said(subscribe("auth_on_subscribe", shared, OTHERS))
    assert mixed["topics"][0] == {"topic": "$share/g/north/all/x", "qos": 0}


@pytest.mark.parametrize("topics", [[], None, "a", [1], [{"qos": 1}], [{"topic": "a", "qos": 1}] * 201])
def test_a_strange_list_of_filters_is_refused(topics: Any) -> None:
    asked = document("auth_on_subscribe", username="pump-1", client_id="pump-1", topics=topics)
    assert said(asked) == REFUSED


@pytest.mark.parametrize("hook", ["", "on_publish", "auth_on_publish_m6", "_m5"])
def test_other_hooks_are_refused(hook: str) -> None:
    assert said(publish(hook)) == REFUSED
