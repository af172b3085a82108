"""Real brokers that hold renderings of generated policies, and clients that try what they are allowed.

Every client has the password `p`; the client `root` may do everything, and is the one that watches.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from brokers.core.nats.policy import NatsPermissions
from tests.brokers.core.faithfulness import Dice
from tests.servers import free_port, is_open, stop, wait_until

NATS = Path(sys.executable).parent / "nats-server"
DYNSEC = Path("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so")
PATIENCE = 90.0
ROOTS = ("#", "$s/#", "$SYSTEM/#")


class Client:
    """One connection, and what was answered and delivered to it."""

    def __init__(self, port: int, user: str, name: str) -> None:
        self.granted: dict[int, bool] = {}
        self.acknowledged: set[int] = set()
        self.received: set[tuple[str, bytes]] = set()
        self._changed = threading.Condition()
        self._paho = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311, reconnect_on_failure=False
        )
        self._paho.max_inflight_messages_set(1000)
        self._paho.username_pw_set(user or None, "p")
        connected = threading.Event()
        self._paho.on_connect = lambda *_: connected.set()
        self._paho.on_subscribe = self._on_subscribe
        self._paho.on_publish = self._on_publish
        self._paho.on_message = self._on_message
        self._paho.connect("127.0.0.1", port)
        self._paho.loop_start()
        assert connected.wait(PATIENCE), f"{user} could not connect"

    def subscribe(self, filters: Sequence[str]) -> dict[str, bool]:
        """Whether each filter was granted."""
        ids = {filter: self._paho.subscribe(filter, 1)[1] or -1 for filter in filters}
        self._wait(lambda: all(id in self.granted for id in ids.values()))
        return {filter: self.granted[id] for filter, id in ids.items()}

    def publish(self, topics: Sequence[str], payload: bytes) -> None:
        """Returns when all of them are acknowledged, which says nothing."""
        ids = [self._paho.publish(topic, payload, 1).mid for topic in topics]
        self._wait(lambda: self.acknowledged.issuperset(ids))

    def close(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()

    def _wait(self, done: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(done, PATIENCE), "the broker does not answer"

    def _on_subscribe(self, _client: Any, _data: Any, id: int, codes: Sequence[Any], _properties: Any) -> None:
        with self._changed:
            self.granted[id] = codes[0].value < 3
            self._changed.notify_all()

    def _on_publish(self, _client: Any, _data: Any, id: int, *_: Any) -> None:
        with self._changed:
            self.acknowledged.add(id)
            self._changed.notify_all()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.received.add((message.topic, bytes(message.payload)))


def await_messages(client: Client, messages: AbstractSet[tuple[str, bytes]]) -> None:
    """Returns when all of them have arrived, or after PATIENCE seconds: a busy machine may be late."""
    ends_at = time.monotonic() + PATIENCE
    while not messages <= client.received and time.monotonic() < ends_at:
        time.sleep(0.01)


def settle(clients: Sequence[Client]) -> None:
    """Returns when nothing has arrived anywhere for a while, which is for what nobody waits: await the rest before."""
    seen = -1
    while seen != (seen := sum(len(client.received) for client in clients)):
        time.sleep(0.4)


def filters_near(dice: Dice, topics: Sequence[str], count: int) -> list[str]:
    """Filters that a client of such rules might ask for, well-formed, each once."""
    found: dict[str, None] = {}
    while len(found) < count:
        levels = (dice.roll.choice(topics) if dice.roll.random() < 0.8 else dice.filter()).split("/")
        if dice.roll.random() < 0.5:
            levels[-1] = dice.roll.choice(["#", "+"])
        if dice.roll.random() < 0.3:
            levels[dice.roll.randrange(len(levels))] = dice.roll.choice(("+", *dice.levels))
        if "#" not in levels[:-1] and levels != [""]:
            found["/".join(levels)] = None
    return list(found)


@contextmanager
def nats_server(folder: Path, users: Mapping[str, NatsPermissions]) -> Iterator[int]:
    """The port of a NATS server whose users have these permissions."""
    port = free_port()
    permitted = [
        {
            "user": name,
            "password": "p",
            "permissions": {
                "publish": {"allow": granted.publish_allow, "deny": granted.publish_deny},
                "subscribe": {"allow": granted.subscribe_allow, "deny": granted.subscribe_deny},
            },
        }
        for name, granted in users.items()
    ]
    configuration = {
        "server_name": "tests",
        "listen": f"127.0.0.1:{free_port()}",
        "jetstream": {"store_dir": str(folder / "js")},
        "accounts": {"FLEET": {"jetstream": "enabled", "users": [*permitted, {"user": "root", "password": "p"}]}},
        "mqtt": {"listen": f"127.0.0.1:{port}"},
    }
    path = folder / "nats.json"
    path.write_text(json.dumps(configuration, ensure_ascii=False))
    with _running([str(NATS), "-c", str(path)], port):
        yield port


@contextmanager
def mosquitto(folder: Path, artifact: str) -> Iterator[int]:
    """The port of a Mosquitto whose plugin holds the artifact, and a root beside it."""
    port = free_port()
    document = json.loads(artifact)
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern")
    acls = [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind in kinds for topic in ROOTS]
    document["roles"].append({"rolename": "root", "acls": acls})
    document["clients"].append({"username": "root", "roles": [{"rolename": "root"}]})
    document["clients"] = [{**client, **_password()} for client in document["clients"]]
    for client in document["clients"]:
        client.pop("clientid", None)
    (folder / "dynsec.json").write_text(json.dumps(document))
    (folder / "mosquitto.conf").write_text(
        f"user {'root' if os.getuid() == 0 else os.environ.get('USER', '')}\nper_listener_settings false\n"
        f"plugin {DYNSEC}\nplugin_opt_config_file {folder / 'dynsec.json'}\nallow_anonymous false\n"
        f"set_tcp_nodelay true\nmax_queued_messages 100000\nlistener {port} 127.0.0.1\n"
    )
    with _running([_mosquitto_program(), "-c", str(folder / "mosquitto.conf")], port):
        yield port


@contextmanager
def mosquitto_with_acl_file(folder: Path, artifact: str) -> Iterator[int]:
    """The port of a Mosquitto whose ACL file says that, and what root may do; every name and no name may connect."""
    port = free_port()
    root = "".join(f"topic readwrite {topic}\n" for topic in ROOTS)
    (folder / "acl").write_text(f"{artifact}\nuser root\n{root}")
    (folder / "mosquitto.conf").write_text(
        f"user {'root' if os.getuid() == 0 else os.environ.get('USER', '')}\nallow_anonymous true\n"
        f"acl_file {folder / 'acl'}\nset_tcp_nodelay true\nmax_queued_messages 100000\nlistener {port} 127.0.0.1\n"
    )
    with _running([_mosquitto_program(), "-c", str(folder / "mosquitto.conf")], port):
        yield port


def _mosquitto_program() -> str:
    return shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def _password() -> dict[str, object]:
    salt = os.urandom(12)
    octets = hashlib.pbkdf2_hmac("sha512", b"p", salt, 101, 64)
    return {"password": base64.b64encode(octets).decode(), "salt": base64.b64encode(salt).decode(), "iterations": 101}


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or is_open(port), what=f"{command[0]} listens or ends")
        assert process.poll() is None, f"{command[0]} ended"
        yield
    finally:
        stop(process)
