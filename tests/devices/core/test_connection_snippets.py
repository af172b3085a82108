"""The kit's programs: each language's own compiler reads them, whatever the device is called."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from devices.core.connection_snippets import Connecting, Snippet, snippets_for
from devices.core.ports import BrokerEndpoint

MQTTS = BrokerEndpoint(name="hall", host="mq.example", port=8883, transport="mqtts", protocol_versions=("3.1.1",))
WSS = replace(MQTTS, port=443, transport="wss")
ODD = "p'u\"m$(id)\\p ü`id`??"
PLAIN = Connecting(
    name="pump-1", username="pump-1", client_id="pump-1", by_password=False, endpoint=MQTTS, topic="north/pump-1/up/t"
)
STRANGE = replace(PLAIN, name=ODD, username=ODD, client_id=ODD, topic=f"north/{ODD}/up")
EVERY = [
    replace(device, by_password=by_password, endpoint=endpoint)
    for device in (PLAIN, STRANGE)
    for by_password in (False, True)
    for endpoint in (MQTTS, WSS)
]
# What esp-mqtt's mqtt_client.h declares, of it only what the program needs.
HEADER = """
#include <stddef.h>
#include <stdint.h>
typedef const char *esp_event_base_t;
typedef struct esp_mqtt_client *esp_mqtt_client_handle_t;
typedef struct { esp_mqtt_client_handle_t client; } esp_mqtt_event_t;
typedef esp_mqtt_event_t *esp_mqtt_event_handle_t;
typedef enum { MQTT_EVENT_CONNECTED = 1 } esp_mqtt_event_id_t;
typedef enum { MQTT_TRANSPORT_OVER_SSL = 2, MQTT_TRANSPORT_OVER_WSS = 4 } esp_mqtt_transport_t;
typedef void (*esp_event_handler_t)(void *, esp_event_base_t, int32_t, void *);
typedef struct {
  struct {
    struct { const char *hostname; esp_mqtt_transport_t transport; const char *path; uint32_t port; } address;
    struct { const char *certificate; } verification;
  } broker;
  struct {
    const char *username, *client_id;
    struct { const char *password, *certificate, *key; } authentication;
  } credentials;
} esp_mqtt_client_config_t;
esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config);
int esp_mqtt_client_register_event(esp_mqtt_client_handle_t, esp_mqtt_event_id_t, esp_event_handler_t, void *);
int esp_mqtt_client_start(esp_mqtt_client_handle_t);
int esp_mqtt_client_publish(esp_mqtt_client_handle_t, const char *, const char *, int, int, int);
"""


def in_language(device: Connecting, file: str) -> Snippet:
    return next(each for each in snippets_for(device) if each.file == file)


@pytest.mark.parametrize("device", EVERY)
def test_python_says_the_very_names(device: Connecting) -> None:
    tree = ast.parse(in_language(device, "publish.py").text)
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    proof = {f"{device.name}.password"} if device.by_password else {f"{device.name}.pem", f"{device.name}.key"}
    assert {device.client_id, device.topic, "mq.example", device.endpoint.port, *proof} <= said


@pytest.mark.parametrize("by_password", [False, True])
def test_shell_gives_mosquitto_pub_the_very_names(by_password: bool, tmp_path: Path) -> None:
    device = replace(STRANGE, by_password=by_password)
    tell = '#!/bin/sh\nprintf "%s\\n" "$@"; [ -z "$XDG_CONFIG_HOME" ] || cat "$XDG_CONFIG_HOME/mosquitto_pub"\n'
    (tmp_path / "mosquitto_pub").write_text(tell)
    (tmp_path / "mosquitto_pub").chmod(0o755)
    (tmp_path / f"{device.name}.password").write_text("k7mw-ace2\n")
    said = subprocess.run(
        ["sh", "-c", in_language(device, "publish.sh").text],
        cwd=tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    if by_password:
        assert said.pop() == "-P k7mw-ace2"
        assert "k7mw-ace2" not in said
        assert (tmp_path / ".kit/mosquitto_pub").stat().st_mode & 0o077 == 0
        assert said[said.index("-u") + 1] == device.username
    else:
        assert said[said.index("--key") + 1] == f"{device.name}.key"
    assert said[-8:] == ["-i", device.client_id, "-q", "1", "-t", device.topic, "-m", "hello"]


def test_mosquitto_pub_is_left_out_where_it_could_not_connect() -> None:
    assert [each.file for each in snippets_for(replace(PLAIN, endpoint=WSS))] == [
        "publish.py",
        "publish.mjs",
        "publish.c",
    ]


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node to read it")
def test_node_reads_all_of_them(tmp_path: Path) -> None:
    for number, device in enumerate(EVERY):
        (tmp_path / f"{number}.mjs").write_text(in_language(device, "publish.mjs").text)
    read = 'new (require("vm").SourceTextModule)(require("fs").readFileSync(file, "utf8"))'
    words = ["node", "--experimental-vm-modules", "--no-warnings", "-e"]
    files = [f"{number}.mjs" for number in range(len(EVERY))]
    loop = f"for (const file of process.argv.slice(1)) {read}"
    subprocess.run([*words, loop, *files], cwd=tmp_path, check=True)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler to read it")
def test_c_compiler_takes_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "mqtt_client.h").write_text(HEADER)
    for number, device in enumerate(EVERY):
        (tmp_path / f"{number}.c").write_text(in_language(device, "publish.c").text)
    client_id = in_language(STRANGE, "publish.c").text.split(".client_id = ")[1].partition(",\n")[0]
    (tmp_path / "says.c").write_text(
        f"#include <stdio.h>\nint main(void) {{ return fputs({client_id}, stdout) < 0; }}\n"
    )
    flags = ("-std=gnu17", "-trigraphs", "-Wall", "-Werror", "-Wno-unused")
    files = [f"{number}.c" for number in range(len(EVERY))]
    subprocess.run(["gcc", *flags, "-fsyntax-only", "-I.", *files], cwd=tmp_path, check=True)
    subprocess.run(["gcc", *flags, "-o", "says", "says.c"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "says"], capture_output=True, check=True).stdout.decode() == ODD
