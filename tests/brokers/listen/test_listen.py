"""`manage.py listen` in a whole installation: the embedded broker, workers and API run beside it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.house import Enrolled, Fleet
from tests.e2e.mqtt import MqttDevice
from tests.servers import is_open, wait_until

pytestmark = pytest.mark.e2e


def admit(running: Fleet, device: Enrolled, **options: Any) -> MqttDevice:
    """A connection of the device, which tries until it is let in."""
    end = time.monotonic() + 90
    while True:
        connection = device.connection(running.house.mqtt_port, **options)
        if connection.connect():
            return connection
        connection.close()
        assert time.monotonic() < end, f"{device.identity.name} was not let in"
        time.sleep(0.2)


def refused(running: Fleet, device: Enrolled, **options: Any) -> bool:
    connection = device.connection(running.house.mqtt_port, **options)
    try:
        return not connection.connect()
    finally:
        connection.close()


def listener(running: Fleet) -> int:
    [process] = running.house.processes("manage.py listen")
    return process


def broker_process(running: Fleet) -> int:
    [process] = running.house.processes("nats-server")
    return process


def connected(running: Fleet) -> set[str]:
    """The client ids that Gatehouse takes for connected."""
    answer = running.application.call("GET", "brokers/embedded/sessions/?limit=200")
    assert answer.status == 200, answer.text
    return {session["client_id"] for session in answer.body["results"]}


def log_of(running: Fleet, device: Enrolled) -> list[tuple[str, str, str, str, str]]:
    """Kind, auth id, client id, address, detail of each line of the access log about the device."""
    with sqlite3.connect(f"file:{running.house.home / 'gatehouse.sqlite3'}?mode=ro", uri=True) as database:
        asked = (
            "SELECT kind, auth_id, client_id, address, detail FROM brokers_accessevent WHERE device_id = ? ORDER BY id"
        )
        found = database.execute(asked, [device.id.replace("-", "")]).fetchall()
    database.close()
    return found


def wait_session(running: Fleet, name: str, *, present: bool = True) -> None:
    wait_until(lambda: (name in connected(running)) is present, what=f"session of {name}: {present}")


def test_kill_of_the_listener_loses_nothing(running: Fleet) -> None:
    one, two, three = (running.enroll(f"kill-{number}") for number in range(3))
    old = admit(running, one)
    gone = admit(running, three)
    wait_session(running, "kill-2")
    first = listener(running)
    os.kill(first, signal.SIGKILL)
    gone.close()  # nobody hears that
    new = admit(running, two)
    assert listener(running) != first
    assert not old.wait_closed(seconds=0.3)
    old.publish("default/kill-0/up/t", b"x")
    wait_session(running, "kill-1")
    wait_session(running, "kill-0")
    wait_session(running, "kill-2", present=False)
    old.close()
    new.close()


def test_listener_ends_when_it_is_asked_to(running: Fleet) -> None:
    process = listener(running)
    os.kill(process, signal.SIGTERM)
    wait_until(lambda: process not in running.house.processes("manage.py listen"), what="its end")
    admit(running, running.enroll("after-term")).close()


def test_nobody_enters_while_the_listener_hangs(running: Fleet) -> None:
    one, two = running.enroll("hang-1"), running.enroll("hang-2")
    old = admit(running, one)
    process = listener(running)
    os.kill(process, signal.SIGSTOP)
    try:
        assert refused(running, two)
        assert not old.wait_closed(seconds=0.3)
    finally:
        os.kill(process, signal.SIGCONT)
    admit(running, two).close()
    old.close()


def test_broker_that_is_killed_is_answered_again(running: Fleet) -> None:
    one = running.enroll("restart-1")
    old = admit(running, one)
    first = broker_process(running)
    os.kill(first, signal.SIGKILL)
    assert old.wait_closed()
    wait_until(lambda: [*running.house.processes("nats-server"), first][0] != first, what="another one")
    wait_until(lambda: is_open(running.house.mqtt_port), what="it listens")
    new = admit(running, one)
    wait_session(running, "restart-1")
    new.close()
    wait_session(running, "restart-1", present=False)


def test_fifty_at_once_enter(running: Fleet) -> None:
    with ThreadPoolExecutor(4) as pool:
        fleet = list(pool.map(lambda number: running.enroll(f"many-{number}"), range(50)))
    with ThreadPoolExecutor(50) as pool:  # the broker waits 5 s for each: who is late on a busy machine tries again
        connections = list(pool.map(lambda device: admit(running, device), fleet))
    wait_until(lambda: {f"many-{number}" for number in range(50)} <= connected(running), what="all sessions")
    for each in connections:
        each.close()


def test_refusal_stands_in_the_devices_log(running: Fleet) -> None:
    victim, thief = running.enroll("log-victim"), running.enroll("log-thief")
    sitting = admit(running, victim, clean=False)
    assert refused(running, thief, client_id="log-victim", clean=False)
    assert not sitting.wait_closed(seconds=0.5)
    sitting.close()
    wait_until(lambda: "refused" in [kind for kind, *_ in log_of(running, thief)], what="the refusal")
    [(_, auth_id, client_id, address, detail)] = [line for line in log_of(running, thief) if line[0] == "refused"]
    assert (auth_id, client_id, address) == ("log-thief", "log-victim", "127.0.0.1")
    assert "client id" in detail
    wait_until(lambda: len(log_of(running, victim)) == 2, what="come and gone")
    assert [kind for kind, *_ in log_of(running, victim)] == ["connected", "disconnected"]


def test_changed_role_reaches_a_device_that_is_connected(running: Fleet) -> None:
    one = running.enroll("role-1")
    pump = admit(running, one)
    assert pump.subscribe("default/extra/#") == 0x80
    rules = [{"effect": "allow", "actions": ["subscribe"], "topic": "default/extra/#"}]
    running.post("roles/", {"name": "extra", "rules": rules}, status=201)
    running.post("bindings/", {"role": "extra", "target": {"device": one.id}}, status=201)
    assert pump.wait_closed()
    again = admit(running, one)
    assert again.subscribe("default/extra/#") == 1
    again.close()


def test_suspended_and_revoked_devices_are_closed_and_refused(running: Fleet) -> None:
    one, two = running.enroll("end-1"), running.enroll("end-2")
    first, second = admit(running, one), admit(running, two)
    running.post(f"devices/{one.id}/suspend/", {"note": "test"}, status=202)
    assert first.wait_closed()
    running.post(f"devices/{two.id}/revoke/", {"reason": "keyCompromise", "note": "test"}, status=202)
    assert second.wait_closed()
    assert refused(running, one)
    assert refused(running, two)
    running.post(f"devices/{one.id}/resume/", {"note": "test"}, status=202)
    admit(running, one).close()


def test_revoked_while_it_connects_over_and_over_it_is_out(running: Fleet) -> None:
    """A grant that is answered just before the revocation is closed, whichever comes first."""
    for number in range(5):
        device = running.enroll(f"race-{number}")
        with ThreadPoolExecutor(1) as pool:
            revoking = pool.submit(
                running.post, f"devices/{device.id}/revoke/", {"reason": "keyCompromise", "note": ""}, status=202
            )
            held = []
            while not revoking.done():
                held.append(device.connection(running.house.mqtt_port))
                held[-1].connect()
        wait_until(
            lambda held=held: all(each.closed_at or each.connack != 0 for each in held),  # type: ignore[misc]
            what="it is out",
        )
        for each in held:
            each.close()


def test_device_certificate_opens_nothing_but_mqtt(running: Fleet) -> None:
    port = json.loads((running.house.home / "embedded" / "connection.json").read_text())["port"]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        assert wire.recv(4096).startswith(b"INFO ")
        wire.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
        assert b"Authorization Violation" in wire.recv(4096)


@pytest.mark.parametrize("topic", ["#", "+/+", "$SYS/#", "$JS/#", "$JS/API/STREAM/NAMES", "$MQTT/#", "default/#"])
def test_inner_topics_are_out_of_reach(running: Fleet, topic: str) -> None:
    pump = admit(running, running.enroll(f"inner-{abs(hash(topic))}"))
    assert pump.subscribe(topic) == 0x80
    pump.close()


def test_no_secret_is_in_a_log(running: Fleet) -> None:
    known = json.loads((running.house.home / "embedded" / "connection.json").read_text())
    secrets = [known[name] for name in ("system_password", "callout_password", "issuer_seed")]
    pump = running.enroll("secret-1").connection(running.house.mqtt_port)
    pump.client.username_pw_set("secret-1", "a-password-that-nobody-logs")
    pump.connect()
    pump.close()
    time.sleep(0.5)
    logs = "".join(path.read_text(errors="replace") for path in (running.house.home / "logs").iterdir())
    assert not [word for word in [*secrets, "a-password-that-nobody-logs"] if word in logs]
    assert "Traceback" not in (running.house.home / "logs" / "listen.log").read_text()
