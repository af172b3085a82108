"""What is unsafe whatever the policy says; shapes of `/api/overview`, `/api/users` and `/api/nodes` of 3.10.8."""

from __future__ import annotations

import re

import pytest

from brokers.core.rabbitmq.exposure import exposures

GUEST = {
    "name": "guest",
    "password_hash": "NbwJAp6i2FJx/G7NhZbtTroIbv/j3QryQ0eqX/cBXDZGaGMT",  # what a new RabbitMQ 3.10.8 told
    "hashing_algorithm": "rabbit_password_hashing_sha256",
}


def listener(protocol: str, address: str = "::", **options: object) -> dict[str, object]:
    return {"protocol": protocol, "ip_address": address, "port": 1234, "socket_opts": options or []}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (listener("mqtt"), "listens for MQTT without TLS at every address, port 1234"),
        (listener("mqtt", "10.0.0.7", backlog=128), "listens for MQTT without TLS at 10.0.0.7, port 1234"),
        (
            listener("http/web-mqtt", port=15675),
            r"MQTT over WebSocket \(rabbitmq_web_mqtt\) without TLS at every address",
        ),
        (listener("http/web-mqtt", ip=[10, 0, 0, 7]), "without TLS at 10.0.0.7"),
        (listener("http/web-stomp", port=15674), "STOMP over WebSocket without TLS"),
        (listener("http", ip="0.0.0.0"), "the management API without TLS at every address"),
        (listener("amqp", "0.0.0.0"), "AMQP without TLS"),
        (listener("amqp/ssl"), "may publish anywhere"),
        (listener("stomp/ssl"), "may publish anywhere"),
        (listener("stream"), "streams without TLS"),
    ],
)
def test_port_that_is_open_to_others_is_told(told: dict[str, object], sentence: str) -> None:
    [found] = exposures([told, told], [], [])
    assert re.search(sentence, found)


@pytest.mark.parametrize(
    "told",
    [
        listener("mqtt", "127.0.0.1"),
        listener("mqtt", "::1"),
        listener("mqtt/ssl"),
        listener("https/web-mqtt", port=15676),
        listener("http", cowboy_opts={"sendfile": False}, ip="127.0.0.1"),
        listener("http/web-mqtt", ip=[127, 0, 0, 1]),
        listener("amqp/ssl", "127.0.0.1"),
        listener("https"),
        listener("clustering"),
    ],
)
def test_port_that_is_encrypted_or_of_this_machine_alone_is_not_told(told: dict[str, object]) -> None:
    assert exposures([told], [], []) == ()


def test_first_account_is_told_while_it_has_its_first_password() -> None:
    [found] = exposures([], [GUEST], [])
    assert "still has the account guest" in found
    changed = {**GUEST, "password_hash": "gKGPCw8rvg/YwcVnO7YOlPmJ5xuGlYNzNpY9YOMOwVb1L7mS"}
    for other in (changed, {**GUEST, "password_hash": ""}, {**GUEST, "password_hash": "?"}, {**GUEST, "name": "bob"}):
        assert exposures([], [other], []) == ()
    assert exposures([], [{**GUEST, "hashing_algorithm": "my_own"}], []) == ()


def test_node_that_takes_no_messages_is_told() -> None:
    calm = {"name": "rabbit@a", "disk_free_alarm": False, "mem_alarm": False}
    assert exposures([], [], [calm]) == ()
    found = exposures([], [], [calm, {**calm, "disk_free_alarm": True}, {**calm, "mem_alarm": True}])
    assert ["disk" in each for each in found] == [True, False]
    assert all("takes no message" in each for each in found)
