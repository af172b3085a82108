"""How each make of broker spells what it keeps of a password, all from the one verifier that devices have.

No text stands in a rendering or a plan that is shown: what is compared and shown there is its fingerprint.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from brokers.core.ports import DesiredState
from devices.core.password_verifier import PasswordVerifier

Spell = Callable[[PasswordVerifier], str]
_ESE_OCTETS = 32


class EseColumns(NamedTuple):
    """The columns of `users` in an SQL realm of HiveMQ's ESE."""

    password: str
    password_iterations: int
    password_salt: str
    algorithm: str


def mosquitto(verifier: PasswordVerifier) -> str:
    """As in a line of Mosquitto's `password_file`, behind the name and a colon (`$7$`: PBKDF2-HMAC-SHA512)."""
    return f"$7${verifier.iterations}${_salt(verifier)}${_base64(verifier.pbkdf2_sha512)}"


def goauth(verifier: PasswordVerifier) -> str:
    """As mosquitto-go-auth reads it where its hasher is pbkdf2, with `salt_encoding` base64; both are its defaults."""
    return f"PBKDF2$sha512${verifier.iterations}${_salt(verifier)}${_base64(verifier.pbkdf2_sha512)}"


def rabbitmq(verifier: PasswordVerifier) -> str:
    """As `password_hash` of RabbitMQ's default `rabbit_password_hashing_sha256`: four octets of salt, then SHA-256."""
    return _base64(verifier.short_salt + verifier.sha256)


def ese(verifier: PasswordVerifier) -> EseColumns:
    """As HiveMQ's ESE keeps it by `PKCS5S2`: PBKDF2-HMAC-SHA512, 32 octets."""
    return EseColumns(_base64(verifier.pbkdf2_sha512[:_ESE_OCTETS]), verifier.iterations, _salt(verifier), "PKCS5S2")


def ese_text(verifier: PasswordVerifier) -> str:
    """The same columns as one text."""
    return json.dumps(ese(verifier))


def hivemq_rbac(verifier: PasswordVerifier) -> str:
    """As `password` of HiveMQ's file RBAC with `password-type` HASHED: PBKDF2-HMAC-SHA512, 64 octets."""
    return f"{_salt(verifier)}:{verifier.iterations}:{_base64(verifier.pbkdf2_sha512)}"


def vernemq(verifier: PasswordVerifier) -> str:
    """As VerneMQ's script reads it from `vmq_auth_acl`, whether its `password_hash_method` is bcrypt or crypt."""
    return verifier.bcrypted


def emqx(verifier: PasswordVerifier) -> str:
    """As an import of EMQX's built-in database takes it where that is as it comes: SHA-256, the salt in front."""
    return json.dumps({"password_hash": verifier.sha256.hex(), "salt": verifier.short_salt.decode()})


def fingerprint(text: str) -> str:
    """16 hex digits that stay the same while the text does, and from which nothing of it can be found."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def texts_in(desired: DesiredState, spell: Spell) -> dict[str, str]:
    """What the broker keeps of the password of each who has one, by auth id."""
    return {
        subject.principal.auth_id: spell(subject.password)
        for subject in desired.subjects
        if subject.password is not None
    }


def fingerprints(texts: Mapping[str, str]) -> dict[str, str]:
    """The fingerprint of each."""
    return {name: fingerprint(text) for name, text in texts.items()}


def _salt(verifier: PasswordVerifier) -> str:
    return _base64(verifier.salt)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
