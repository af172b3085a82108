"""The recommended configuration of a Mosquitto that Gatehouse keeps, for the folder that both share.

Each line closes a way around the policy that was found by experiment with 2.0.11; the comments that are written into
the file say which.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

DYNSEC_PLUGIN = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"

CONFIGURATION_FILE = "mosquitto.conf"
DYNSEC_FILE = "dynamic-security.json"
FIRST_FILE = "dynamic-security.first.json"
CRL_FILE = "crl.pem"
ACL_FILE = "acl.conf"
PASSWORD_FILE = "passwords.conf"  # noqa: S105 - the name of a file
PID_FILE = "mosquitto.pid"
LOG_FILE = "mosquitto.log"
CLIENT_CA_FILE = "client-ca.pem"
SERVER_CERTIFICATE_FILE = "server.pem"
SERVER_KEY_FILE = "server.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class MosquittoSettings:
    """What differs between brokers. `directory` is the shared folder as the broker sees it.

    `user` is whom a broker that was started as root becomes; empty for Mosquitto's own choice.
    """

    directory: PurePosixPath
    device_port: int
    control_port: int
    device_address: str = ""
    control_address: str = "127.0.0.1"
    plugin: str = DYNSEC_PLUGIN
    user: str = ""
    persistence: bool = False


def mosquitto_conf(settings: MosquittoSettings) -> str:
    """The text of mosquitto.conf. The files that it names have to be there, and readable, before the broker starts."""
    parts = (_general(settings), _control_listener(settings), _device_listener(settings))
    return "\n".join("\n".join(lines) + "\n" for lines in parts)


def _general(settings: MosquittoSettings) -> list[str]:
    folder = settings.directory
    return [
        *([f"user {settings.user}"] if settings.user else []),
        f"pid_file {folder / PID_FILE}",
        "per_listener_settings false",
        f"plugin {settings.plugin}",
        f"plugin_opt_config_file {folder / DYNSEC_FILE}",
        "allow_anonymous false",
        "# 2.7 ms instead of 44 ms for a connection by mutual TLS",
        "set_tcp_nodelay true",
        f"log_dest file {folder / LOG_FILE}",
        "# Gatehouse reads who connects, and who subscribes to what, from $SYS/broker/log",
        "log_dest topic",
        "log_type subscribe",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_type information",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        "connection_messages true",
        "sys_interval 10",
        *(["persistence true", f"persistence_location {folder}/"] if settings.persistence else ["persistence false"]),
    ]


def _control_listener(settings: MosquittoSettings) -> list[str]:
    return [
        "# Gatehouse's control account, with a password, on this machine only",
        f"listener {settings.control_port} {settings.control_address}",
    ]


def _device_listener(settings: MosquittoSettings) -> list[str]:
    folder = settings.directory
    return [
        "# Devices: mutual TLS, and nothing else proves who they are",
        f"listener {settings.device_port} {settings.device_address}".rstrip(),
        f"cafile {folder / CLIENT_CA_FILE}",
        f"certfile {folder / SERVER_CERTIFICATE_FILE}",
        f"keyfile {folder / SERVER_KEY_FILE}",
        "require_certificate true",
        "# without these two, any certificate and any password would do, and a client id could be another's",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        f"crlfile {folder / CRL_FILE}",
        "tls_version tlsv1.2",
    ]
