"""EMQX: requests as the body templates of docs/howto/http-decisions.md render them; answers as 5.8.9 reads them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from brokers.core.decide.decisions import NO, Asked, Identity
from brokers.core.decide.emqx import AUTHN, AUTHZ
from tests.brokers.core.deciding import answered, document, form

PEM = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(b'good').decode()}\n-----END CERTIFICATE-----\n"
DENY = {"result": "deny"}


def login(**changes: Any) -> Asked:
    """What EMQX sends of a client with a certificate: what has no value is an empty text."""
    members = {
        "clientid": "pump-1", "username": "pump-1", "password": "", "peerhost": "192.0.2.7",
        "cert_subject": "CN=pump-1", "cert_cn": "pump-1", "cert_pem": PEM,
    }  # fmt: skip
    return document(**members | changes)


def said(asked: Asked, *, identity: Identity = Identity.SHOWN) -> Any:
    answer = answered(AUTHN, asked, identity=identity)
    assert (answer.status, answer.content_type) == (200, "application/json")
    return json.loads(answer.body)


def test_a_login_with_a_good_certificate_ends_within_the_hour_and_makes_no_superuser() -> None:
    # 2026-11-21T13:00:00Z by `date -u -d … +%s`, in seconds: milliseconds would be rejected
    assert said(login()) == {"result": "allow", "is_superuser": False, "expire_at": 1795266000}


@pytest.mark.parametrize(
    "wrong",
    [
        {"cert_pem": PEM.replace("Z29vZA==", "YmFkIQ==")},
        {"cert_pem": "no PEM"},
        {"cert_pem": ""},
        {"cert_cn": "pump-2"},
        {"cert_cn": ""},
        {"clientid": "pump-2"},
        {"clientid": ""},
        {"username": "pump-2"},
        {"username": ""},
        {"username": None},
        {"clientid": 1},
    ],
)
def test_a_login_of_which_anything_is_wrong_is_denied_and_never_ignored(wrong: dict[str, Any]) -> None:
    assert said(login(**wrong)) == DENY


def test_names_are_believed_only_if_the_secret_says_so() -> None:
    bare = login(cert_pem="")
    assert said(bare) == DENY
    assert said(bare, identity=Identity.CERTIFICATE)["result"] == "allow"
    without = document(clientid="pump-1", username="pump-1")
    assert said(without) == DENY
    assert said(without, identity=Identity.CERTIFICATE)["result"] == "allow"


def test_a_connection_without_a_certificate_has_an_empty_common_name_and_stays_out() -> None:
    assert said(login(cert_pem="", cert_cn=""), identity=Identity.CERTIFICATE) == DENY


@pytest.mark.parametrize("identity", Identity)
def test_a_password_is_judged_if_there_is_no_certificate(identity: Identity) -> None:
    without = {"cert_pem": "", "cert_cn": ""}
    assert said(login(**without, password="correct horse"), identity=identity)["result"] == "allow"
    assert said(login(**without, password="x"), identity=identity) == DENY
    assert said(login(cert_pem=PEM.replace("Z29vZA==", "YmFkIQ=="), password="correct horse")) == DENY


def wish(**changes: Any) -> Asked:
    members = {
        "clientid": "pump-1", "username": "pump-1", "cert_cn": "pump-1", "action": "publish",
        "topic": "north/pump-1/up/t", "qos": "1", "retain": "false",
    }  # fmt: skip
    return document(**members | changes)


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"qos": 2, "retain": True},
        {"action": "subscribe", "topic": "north/pump-1/down/#"},
        {"action": "subscribe", "topic": "north/all/x", "retain": ""},
        {"cert_cn": ""},  # a password let it in
    ],
)
def test_what_the_policy_allows_is_allowed(right: dict[str, Any]) -> None:
    answer = answered(AUTHZ, wish(**right), identity=Identity.SHOWN)
    assert (answer.status, json.loads(answer.body)) == (200, {"result": "allow"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "north/pump-2/up/t"},
        {"topic": "north/pump-1/up/+"},
        {"action": "subscribe", "topic": "north/#"},
        {"action": "all"},
        {"qos": "3"},
        {"retain": "perhaps"},
        {"clientid": "pump-2"},
        {"username": "pump-2"},
        {"cert_cn": "pump-2"},
        {"topic": None},
        {"topic": "north/\ud800"},
        {"topic": "north/pump-1/up/" + "x" * 65_536},
    ],
)
def test_everything_else_is_denied_and_never_ignored(wrong: dict[str, Any]) -> None:
    answer = answered(AUTHZ, wish(**wrong), identity=Identity.SHOWN)
    assert (answer.status, json.loads(answer.body)) == (200, DENY)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"[" * 50_000, b'{"username":"pump-1","username":"pump-2"}', b"\xff"]
)
def test_what_is_no_question_is_denied(body: bytes) -> None:
    for call in (AUTHN, AUTHZ):
        answer = answered(call, Asked(body=body, content_type="application/json"))
        assert (answer.status, json.loads(answer.body)) == (200, DENY)
        assert json.loads(call.say(None, NO).body) == DENY


def test_a_form_is_read_too() -> None:
    asked = form(
        "username=pump-1&clientid=pump-1&action=publish&topic=north%2Fpump-1%2Fup%2Ft&qos=0&retain=true&cert_cn=pump-1"
    )
    assert json.loads(answered(AUTHZ, asked).body) == {"result": "allow"}
