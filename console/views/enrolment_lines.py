"""The lines to paste that enrol a device and connect it: for terminals, with openssl, curl and mosquitto_pub."""

from __future__ import annotations

import shlex

from console.conf import base_url
from devices.core.ports import BrokerEndpoint

TOKEN_PLACEHOLDER = "<enrolment token>"  # noqa: S105 - it stands where a token belongs


def enrolment_lines(*, token: str = "", name: str = "pump-17") -> str:
    """Shell lines: make a key and a CSR, send it, keep what comes back. Without a token its place is marked."""
    bearer = token or TOKEN_PLACEHOLDER
    body = f'{{\\"name\\": \\"{name}\\", \\"csr\\": \\"$(awk \'{{printf "%s\\\\n", $0}}\' {name}.csr)\\"}}'
    keep = (
        f'import json; a = json.load(open("{name}.json")); '
        f'open("{name}.pem", "w").write(a["certificate"] + a["chain"]); open("trust.pem", "w").write(a["trust_bundle"])'
    )
    return "\n".join(
        (
            f"openssl ecparam -genkey -name prime256v1 -noout -out {name}.key",
            f"openssl req -new -key {name}.key -subj /CN={name} -out {name}.csr",
            f"curl -sS --fail-with-body {shlex.quote(base_url() + '/api/v1/enroll/')} -o {name}.json \\",
            f"  -H 'Authorization: Bearer {bearer}' -H 'Content-Type: application/json' \\",
            f'  -d "{body}"',
            f"python3 -c {shlex.quote(keep)}",
        )
    )


def mosquitto_lines(*, name: str, client_id: str, endpoint: BrokerEndpoint, topic: str) -> str:
    """A shell line that publishes once as the device."""
    return "\n".join(
        (
            f"mosquitto_pub -h {shlex.quote(endpoint.host)} -p {endpoint.port} \\",
            f"  --cafile trust.pem --cert {shlex.quote(name + '.pem')} --key {shlex.quote(name + '.key')} \\",
            f"  -i {shlex.quote(client_id)} -q 1 -t {shlex.quote(topic)} -m hello",
        )
    )


def paho_lines(*, name: str, client_id: str, endpoint: BrokerEndpoint, topic: str) -> str:
    """A Python program for paho-mqtt 2 that does the same."""
    return "\n".join(
        (
            "import paho.mqtt.client as mqtt",
            "",
            f"client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id={client_id!r})",
            f'client.tls_set(ca_certs="trust.pem", certfile={name + ".pem"!r}, keyfile={name + ".key"!r})',
            f"client.connect({endpoint.host!r}, {endpoint.port})",
            "client.loop_start()",
            f'client.publish({topic!r}, "hello", qos=1).wait_for_publish(5)',
            "client.disconnect()",
        )
    )
