"""NanoMQ: JSON of the parameters that docs/howto/http-decisions.md configures; the status is the answer."""

from __future__ import annotations

from typing import Any

import pytest

from brokers.core.decide.decisions import Identity
from brokers.core.decide.nanomq import ACL, AUTH
from brokers.core.ports import RenderSubject
from tests.brokers.core.deciding import PUMP, answered, document, form
from tests.brokers.subjects import SUBSCRIBE, rule, subject


def login(*, identity: Identity = Identity.CERTIFICATE, **members: Any) -> int:
    return answered(AUTH, document(**members), identity=identity).status


def test_the_common_name_is_who_it_is() -> None:
    assert login(clientid="pump-1", cn="pump-1") == 200
    assert login(clientid="pump-1", username="pump-1", password="", cn="pump-1") == 200
    assert login(clientid="pump-1", cn="pump-1", identity=Identity.SHOWN) == 403


@pytest.mark.parametrize(
    "members",
    [
        {"clientid": "pump-1", "username": "pump-1", "cn": ""},
        {"clientid": "pump-1", "username": "pump-1"},
        {"clientid": "pump-1", "username": "pump-2", "cn": "pump-1"},
        {"clientid": "pump-1", "username": "pump-1", "cn": "pump-2"},
        {"clientid": "pump-2", "cn": "pump-1"},
        {"clientid": "pump-1", "password": "x", "cn": "pump-1"},
        {"clientid": "pump-1&cn=pump-1"},
        {"clientid": "pump-1&cn=pump-1", "username": "pump-1"},
        {"clientid": 1, "cn": "pump-1"},
        {},
    ],
)
def test_every_other_login_is_refused(members: dict[str, Any]) -> None:
    assert login(**members) == 403


@pytest.mark.parametrize("identity", Identity)
def test_without_a_certificate_the_username_says_who_it_is_and_a_password_has_to_prove_it(identity: Identity) -> None:
    def entering(username: str, password: str) -> int:
        return login(clientid="pump-1", username=username, password=password, identity=identity)

    assert entering("pump-1", "correct horse") == 200
    assert [entering("pump-1", "x"), entering("pump-1", ""), entering("", "correct horse")] == [403, 403, 403]
    publishes = document(access="2", username="pump-1", clientid="pump-1", topic="north/pump-1/up/t")
    assert answered(ACL, publishes, identity=identity).status == 200


def test_form_is_refused_since_who_connects_writes_fields_of_his_own_into_it() -> None:
    """As NanoMQ up to 0.24.14 writes them: values as they came, and none for what has no value."""
    impersonation = "clientid=pump-1&cn=pump-1"  # the client id is the whole of `pump-1&cn=pump-1`, there is no cn
    assert answered(AUTH, form(impersonation)).status == 403
    listener = subject("pump-1", rule("allow", SUBSCRIBE, "d/#"), rule("deny", SUBSCRIBE, "d/secret/x"))
    hidden_wildcard = "clientid=pump-1&cn=pump-1&access=1&topic=d/+/x"
    assert answered(ACL, form(hidden_wildcard), judged=listener).status == 403
    cut_topic = "clientid=pump-1&cn=pump-1&access=2&topic=north/pump-1/up/t&x=/any/thing"
    assert answered(ACL, form(cut_topic)).status == 403


def act(access: int, topic: str, *, judged: RenderSubject = PUMP) -> int:
    question = document(access=str(access), clientid="pump-1", cn="pump-1", topic=topic)
    return answered(ACL, question, judged=judged).status


def test_publish_and_subscribe_are_judged() -> None:
    assert act(2, "north/pump-1/up/t") == 200
    assert act(2, "north/pump-1/up/a,b") == 200
    assert act(2, "north/pump-2/up/t") == 403
    assert act(1, "north/pump-1/down/#") == 200
    assert act(1, "north/#") == 403
    assert act(3, "north/pump-1/up/t") == 403
    assert act(1, "$share/g/north/all/x") == 200
    listener = subject("pump-1", rule("allow", SUBSCRIBE, "d/#"), rule("deny", SUBSCRIBE, "d/secret/x"))
    assert [act(1, "d/a/x", judged=listener), act(1, "d/+/x", judged=listener)] == [200, 403]


def test_a_comma_allows_only_what_every_reading_of_it_allows() -> None:
    """`north/all/x,south/x` may be one filter, which the rule covers, or two, of which it covers one."""
    listener = subject("pump-1", rule("allow", SUBSCRIBE, "north/all/#"))
    assert act(1, "north/all/x,north/all/y", judged=listener) == 200
    assert act(1, "north/all/x,south/x", judged=listener) == 403
    everything = subject("pump-1", rule("allow", SUBSCRIBE, "#"))
    assert act(1, ",".join(["a"] * 12), judged=everything) == 200
    assert act(1, ",".join(["a"] * 13), judged=everything) == 403
