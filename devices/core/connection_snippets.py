"""Programs that connect one device to one listener and publish once: what the kit, the console and the API show.

No secret stands in them: each reads key, or password, from a file beside it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devices.core.ports import BrokerEndpoint

TRUST = "trust.pem"
_WEBSOCKETS = "wss"
_WEBSOCKET_PATH = "/mqtt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connecting:
    """Who connects where, and how it proves itself; `topic` is one that it may publish to."""

    name: str
    username: str
    client_id: str
    by_password: bool
    endpoint: BrokerEndpoint
    topic: str

    @property
    def is_by_websocket(self) -> bool:
        """Whether MQTT goes through a WebSocket there."""
        return self.endpoint.transport == _WEBSOCKETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A program: in which language or for which tool, and the name that its file has."""

    language: str
    file: str
    text: str


def snippets_for(device: Connecting) -> tuple[Snippet, ...]:
    """One for each language that reaches the listener: mosquitto_pub 2.0 knows no WebSocket."""
    found = (_MOSQUITTO, _PYTHON, _NODE, _ESP_IDF)
    return tuple(
        Snippet(language=language, file=file, text=write(device))
        for language, file, write in found
        if write is not _mosquitto or not device.is_by_websocket
    )


def proof_files(device_name: str, *, by_password: bool) -> Mapping[str, str]:
    """The files beside the programs that only the device has, and what each is."""
    if by_password:
        return {f"{device_name}.password": "its password, in one line"}
    return {
        f"{device_name}.pem": "its certificate, then the chain, as it got them when it enrolled",
        f"{device_name}.key": "its private key (PEM), which never left it",
    }


def _mosquitto(device: Connecting) -> str:
    certificate, key, password = _files(device, shlex.quote)
    lines = [
        f"mosquitto_pub -h {shlex.quote(device.endpoint.host)} -p {device.endpoint.port} --cafile {TRUST} \\",
        f"  -i {shlex.quote(device.client_id)} -q 1 -t {shlex.quote(device.topic)} -m hello",
    ]
    if not device.by_password:
        lines.insert(1, f"  --cert {certificate} --key {key} \\")
        return _text(*lines)
    return _text(
        "# mosquitto_pub reads the password from a file, so that no list of processes shows it.",
        f'(umask 077; mkdir -p .kit; printf "%s\\n" "-P $(cat -- {password})" > .kit/mosquitto_pub)',
        f"XDG_CONFIG_HOME=.kit {lines[0]}",
        f"  -u {shlex.quote(device.username)} \\",
        lines[1],
    )


def _paho(device: Connecting) -> str:
    certificate, key, password = _files(device, repr)
    through = ', transport="websockets"' if device.is_by_websocket else ""
    proof = [f'client.tls_set(ca_certs="{TRUST}", certfile={certificate}, keyfile={key})']
    if device.by_password:
        proof = [
            f'client.tls_set(ca_certs="{TRUST}")',
            f"client.username_pw_set({device.username!r}, pathlib.Path({password}).read_text().strip())",
        ]
    return _text(
        *(["import pathlib", ""] if device.by_password else []),
        "import paho.mqtt.client as mqtt  # paho-mqtt 2",
        "",
        f"client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id={device.client_id!r}{through})",
        *proof,
        f"client.connect({device.endpoint.host!r}, {device.endpoint.port})",
        "client.loop_start()",
        f'client.publish({device.topic!r}, "hello", qos=1).wait_for_publish(5)',
        "client.disconnect()",
    )


def _node(device: Connecting) -> str:
    certificate, key, password = _files(device, json.dumps)
    proof = [f"  cert: readFileSync({certificate}),", f"  key: readFileSync({key}),"]
    if device.by_password:
        read = f'readFileSync({password}, "utf8").trim()'
        proof = [f"  username: {json.dumps(device.username)},", f"  password: {read},"]
    return _text(
        'import { readFileSync } from "node:fs";',
        'import mqtt from "mqtt"; // npm install mqtt, 5',
        "",
        "const client = await mqtt.connectAsync({",
        f"  protocol: {json.dumps(device.endpoint.transport)},",
        f"  host: {json.dumps(device.endpoint.host)},",
        f"  port: {device.endpoint.port},",
        *([f"  path: {json.dumps(_WEBSOCKET_PATH)},"] if device.is_by_websocket else []),
        f"  clientId: {json.dumps(device.client_id)},",
        f'  ca: readFileSync("{TRUST}"),',
        *proof,
        "});",
        f'await client.publishAsync({json.dumps(device.topic)}, "hello", {{ qos: 1 }});',
        "await client.endAsync();",
    )


def _esp_idf(device: Connecting) -> str:
    """The files are embedded under names of C: EMBED_TXTFILES of the component's CMakeLists.txt."""
    embedded = ("device.password",) if device.by_password else ("device.pem", "device.key")
    symbols = [file.replace(".", "_") for file in (TRUST, *embedded)]
    transport = "MQTT_TRANSPORT_OVER_WSS" if device.is_by_websocket else "MQTT_TRANSPORT_OVER_SSL"
    proof = [
        f"    .credentials.username = {_c_text(device.username)},",
        "    .credentials.authentication.password = device_password,",
    ]
    if not device.by_password:
        proof = [
            "    .credentials.authentication.certificate = device_pem,",
            "    .credentials.authentication.key = device_key,",
        ]
    return _text(
        f"// ESP-IDF 5: EMBED_TXTFILES {' '.join((TRUST, *embedded))}",
        *(["// device.password without a line break at its end"] if device.by_password else []),
        '#include "mqtt_client.h"',
        "",
        *(f'extern const char {symbol}[] asm("_binary_{symbol}_start");' for symbol in symbols),
        "",
        "static void say_hello(void *context, esp_event_base_t base, int32_t id, void *event)",
        "{",
        "  esp_mqtt_event_handle_t happened = event;",
        f'  esp_mqtt_client_publish(happened->client, {_c_text(device.topic)}, "hello", 0, 1, 0);',
        "}",
        "",
        "void connect_to_broker(void)",
        "{",
        "  const esp_mqtt_client_config_t config = {",
        f"    .broker.address.hostname = {_c_text(device.endpoint.host)},",
        f"    .broker.address.port = {device.endpoint.port},",
        f"    .broker.address.transport = {transport},",
        *([f'    .broker.address.path = "{_WEBSOCKET_PATH}",'] if device.is_by_websocket else []),
        f"    .broker.verification.certificate = {symbols[0]},",
        f"    .credentials.client_id = {_c_text(device.client_id)},",
        *proof,
        "  };",
        "  esp_mqtt_client_handle_t client = esp_mqtt_client_init(&config);",
        "  esp_mqtt_client_register_event(client, MQTT_EVENT_CONNECTED, say_hello, NULL);",
        "  esp_mqtt_client_start(client);",
        "}",
    )


_MOSQUITTO = ("mosquitto_pub", "publish.sh", _mosquitto)
_PYTHON = ("Python, paho-mqtt", "publish.py", _paho)
_NODE = ("Node, MQTT.js", "publish.mjs", _node)
_ESP_IDF = ("C, ESP-IDF", "publish.c", _esp_idf)


def _files(device: Connecting, spell: Callable[[str], str]) -> tuple[str, str, str]:
    """The names of certificate, key and password, as the language spells text."""
    return spell(f"{device.name}.pem"), spell(f"{device.name}.key"), spell(f"{device.name}.password")


def _c_text(text: str) -> str:
    """A string of C: what is no plain ASCII by its octets (UTF-8), each with three octal digits."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')  # ?, since two of them and a third character can be another one
    return '"' + "".join(chr(each) if each in plain else f"\\{each:03o}" for each in text.encode()) + '"'


def _text(*lines: str) -> str:
    return "\n".join(lines) + "\n"
