"""The first file of Mosquitto's dynamic security plugin: nobody may do anything, and one account may change that."""

from __future__ import annotations

import base64
import hashlib
import json
import os

ITERATIONS = 20_000
CONTROL_ROLE = "gatehouse-control"
_CONTROL, _SYS = "$CONTROL/dynamic-security/#", "$SYS/#"
_CONTROL_ACLS = (
    ("publishClientSend", _CONTROL),
    ("publishClientReceive", _CONTROL),
    ("subscribePattern", _CONTROL),
    ("publishClientReceive", _SYS),
    ("subscribePattern", _SYS),
    ("unsubscribePattern", "#"),
)


def password_hash(password: str, *, salt: bytes, iterations: int) -> str:
    """Base64 of PBKDF2-HMAC-SHA512, 64 octets, as the plugin keeps it."""
    return base64.b64encode(hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, 64)).decode()


def first_file(*, username: str, password: str) -> str:
    """The file, with a fresh salt."""
    salt = os.urandom(12)
    document = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            {
                "username": username,
                "textname": "Gatehouse's control account",
                "roles": [{"rolename": CONTROL_ROLE}],
                "password": password_hash(password, salt=salt, iterations=ITERATIONS),
                "salt": base64.b64encode(salt).decode(),
                "iterations": ITERATIONS,
            }
        ],
        "groups": [],
        "roles": [
            {
                "rolename": CONTROL_ROLE,
                "acls": [
                    {"acltype": acltype, "topic": topic, "priority": 0, "allow": True}
                    for acltype, topic in _CONTROL_ACLS
                ],
            }
        ],
    }
    return json.dumps(document, indent=1) + "\n"
