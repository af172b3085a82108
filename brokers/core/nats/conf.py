"""The configuration of a NATS server that asks us at each CONNECT."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsServer:
    """What the configuration is made of. `folder` holds server.crt, server.key, ca.crt and JetStream's store."""

    folder: Path
    name: str
    client_port: int
    mqtt_host: str
    mqtt_port: int
    issuer: str
    account: str
    system_user: str
    system_password: str = field(repr=False)
    callout_user: str
    callout_password: str = field(repr=False)


def render_conf(server: NatsServer) -> str:
    """The file. Nobody but our two users gets in without the callout; devices need a certificate to be asked about."""
    quoted = {name: json.dumps(str(value)) for name, value in _values(server).items()}
    return """\
server_name: {name}
listen: 127.0.0.1:{client_port}
pid_file: {pid}
max_payload: 1MB
jetstream {{ store_dir: {store}, max_memory_store: 64MB, max_file_store: 1GB }}
accounts {{
  GATEHOUSE_SYS {{ users: [
    {{ user: {system_user}, password: {system_password}, allowed_connection_types: ["STANDARD"] }}
  ] }}
  GATEHOUSE_AUTH {{ users: [
    {{ user: {callout_user}, password: {callout_password}, allowed_connection_types: ["STANDARD"] }}
  ] }}
  {account} {{ jetstream: enabled }}
}}
system_account: GATEHOUSE_SYS
authorization {{
  timeout: 5
  auth_callout {{ issuer: {issuer}, account: GATEHOUSE_AUTH, auth_users: [ {system_user}, {callout_user} ] }}
}}
mqtt {{
  listen: {mqtt}
  tls {{
    cert_file: {certificate}
    key_file: {key}
    ca_file: {ca}
    verify: true
    min_version: "1.2"
    timeout: 5
  }}
}}
""".format(**quoted, client_port=server.client_port, account=server.account)


def _values(server: NatsServer) -> dict[str, object]:
    return {
        "name": server.name,
        "pid": server.folder / "nats.pid",
        "store": server.folder / "jetstream",
        "system_user": server.system_user,
        "system_password": server.system_password,
        "callout_user": server.callout_user,
        "callout_password": server.callout_password,
        "issuer": server.issuer,
        "mqtt": f"{server.mqtt_host}:{server.mqtt_port}",
        "certificate": server.folder / "server.crt",
        "key": server.folder / "server.key",
        "ca": server.folder / "ca.crt",
    }
