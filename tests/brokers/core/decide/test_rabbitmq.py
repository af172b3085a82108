"""RabbitMQ: the requests that 3.10.8 was seen to send, and the two answers that it knows."""

from __future__ import annotations

import pytest

from brokers.core.decide.decisions import Call, Identity
from brokers.core.decide.rabbitmq import RESOURCE, TOPIC, USER, VHOST
from brokers.core.ports import RenderSubject
from tests.brokers.core.deciding import PUMP, answered, form
from tests.brokers.subjects import PUBLISH, SUBSCRIBE, rule, subject


def said(call: Call, text: str, *, identity: Identity = Identity.CERTIFICATE, judged: RenderSubject = PUMP) -> bytes:
    answer = answered(call, form(text), identity=identity, judged=judged)
    assert answer.status == 200
    return answer.body


def test_a_login_without_a_password_field_is_one_by_certificate() -> None:
    assert said(USER, "username=pump-1") == b"allow"
    assert said(USER, "username=pump-1&vhost=%2F&client_id=pump-1") == b"allow"


@pytest.mark.parametrize(
    "text",
    [
        "username=pump-1&password=&vhost=%2F&client_id=pump-1",
        "username=pump-1&password=hpw&vhost=%2F&client_id=pump-1",
        "username=pump-1&client_id=pump-2",
        "username=pump-1&client_id=",
        "username=guest",
        "username=",
        "vhost=%2F",
        "username=pump-1&username=pump-2",
        "username=%ff",
        "username",
        "",
    ],
)
def test_every_other_login_is_denied(text: str) -> None:
    assert said(USER, text) == b"deny"


def test_nobody_enters_by_name_unless_the_secret_says_that_certificates_are_required() -> None:
    assert said(USER, "username=pump-1", identity=Identity.SHOWN) == b"deny"
    assert said(USER, "username=pump-1&password=", identity=Identity.SHOWN) == b"deny"


@pytest.mark.parametrize("identity", Identity)
def test_who_entered_with_a_password_is_known_by_name_from_then_on(identity: Identity) -> None:
    assert said(USER, "username=pump-1&password=correct+horse&client_id=pump-1", identity=identity) == b"allow"
    assert said(USER, "username=pump-1&password=x&client_id=pump-1", identity=identity) == b"deny"
    assert said(VHOST, "username=pump-1&vhost=%2F&ip=127.0.0.1&tags=&client_id=pump-1", identity=identity) == b"allow"
    assert said(TOPIC, topic("write", "north.pump-1.up.t"), identity=identity) == b"allow"
    assert said(TOPIC, topic("write", "north.pump-2.up.t"), identity=identity) == b"deny"


def test_the_vhost_is_open_to_the_devices_client_id_alone() -> None:
    assert said(VHOST, "username=pump-1&vhost=%2F&ip=127.0.0.1&tags=&client_id=pump-1") == b"allow"
    assert said(VHOST, "username=pump-1&vhost=%2F&ip=127.0.0.1&tags=&client_id=pump-2") == b"deny"


def resource(kind: str, name: str, permission: str) -> str:
    return f"username=pump-1&vhost=%2F&resource={kind}&name={name}&permission={permission}&tags=&client_id=pump-1"


@pytest.mark.parametrize("permission", ["configure", "write", "read"])
def test_a_device_has_its_own_queues(permission: str) -> None:
    for qos in "01":
        assert said(RESOURCE, resource("queue", f"mqtt-subscription-pump-1qos{qos}", permission)) == b"allow"
    for name in ("mqtt-subscription-pump-2qos1", "mqtt-subscription-pump-1", "pump-1qos1", "mqtt-subscription-qos1"):
        assert said(RESOURCE, resource("queue", name, permission)) == b"deny"


def test_a_device_has_one_exchange_and_makes_none() -> None:
    assert said(RESOURCE, resource("exchange", "amq.topic", "write")) == b"allow"
    assert said(RESOURCE, resource("exchange", "amq.topic", "read")) == b"allow"
    assert said(RESOURCE, resource("exchange", "amq.topic", "read").replace("=pump-1", "=pump-2")) == b"deny"
    assert said(RESOURCE, resource("exchange", "amq.topic", "configure")) == b"deny"
    assert said(RESOURCE, resource("exchange", "amq.fanout", "write")) == b"deny"
    assert said(RESOURCE, resource("queueue", "amq.topic", "write")) == b"deny"


def topic(permission: str, key: str, *, client_id: str = "pump-1") -> str:
    return (
        f"username=pump-1&vhost=%2F&resource=topic&name=amq.topic&permission={permission}&tags=&routing_key={key}"
        f"&variable_map.client_id={client_id}&variable_map.username=pump-1&variable_map.vhost=%2F"
    )


def test_dots_are_slashes_and_asterisks_are_plus_signs() -> None:
    assert said(TOPIC, topic("write", "north.pump-1.up.t")) == b"allow"
    assert said(TOPIC, topic("read", "north.pump-1.down.%23")) == b"allow"
    assert said(TOPIC, topic("read", "north.pump-1.down.%2A.x")) == b"allow"
    assert said(TOPIC, topic("read", "north.%2A.down.x")) == b"deny"
    assert said(TOPIC, topic("read", "%23")) == b"deny"


@pytest.mark.parametrize(
    "key", ["north.pump-1.up.%2A", "north.pump-1.up.%23", "north.pump-1.up.a%2B", "north.pump-2.up.t", ""]
)
def test_a_wildcard_in_a_routing_key_is_no_topic(key: str) -> None:
    assert said(TOPIC, topic("write", key)) == b"deny"


def test_another_client_id_is_denied() -> None:
    assert said(TOPIC, topic("write", "north.pump-1.up.t", client_id="pump-2")) == b"deny"
    assert said(TOPIC, topic("write", "north.pump-1.up.t", client_id=".%2A")) == b"deny"


def test_nobody_publishes_where_a_subscription_to_everything_would_hear_it() -> None:
    loud = subject("pump-1", rule("allow", PUBLISH, "$app/x"), rule("allow", SUBSCRIBE, "$app/x"))
    assert said(TOPIC, topic("write", "$app.x"), judged=loud) == b"deny"
    assert said(TOPIC, topic("read", "$app.x"), judged=loud) == b"allow"


def test_other_exchanges_and_permissions_are_denied() -> None:
    for text in (topic("configure", "a"), topic("write", "a").replace("amq.topic", "amq.rabbitmq.event")):
        assert said(TOPIC, text, judged=subject("pump-1", rule("allow", PUBLISH, "a"))) == b"deny"
