"""A device's password, and what is kept of it: enough for a broker to check it, too little to say it.

Passwords are made here and by nobody else. They have 138 random bits, so nobody finds one from its hash, however fast
that is; a slow hash would only make a storm of logins worse.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import bcrypt

ITERATIONS = 1_000  # 0.4 ms for each login at a broker
_BCRYPT = b"$2a$04$"  # 1 ms; the prefix that every implementation takes, and the least cost there is
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that is taken for another one
_GROUPS, _GROUP = 7, 4
_SALT_LETTERS = 12
_SHORT_SALT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordVerifier:
    """What is kept of a password. `salt` is of ASCII letters; each broker spells the digests in its own way.

    `pbkdf2_sha512` is PBKDF2-HMAC-SHA512 (RFC 8018 5.2) over all of the salt, 64 octets, of which the first 32 are what
    32 octets would be; `sha256` is SHA-256 of `short_salt` and password; `bcrypted` is the password as
    crypt(3) spells it by bcrypt.
    """

    salt: bytes
    iterations: int
    pbkdf2_sha512: bytes = field(repr=False)
    sha256: bytes = field(repr=False)
    bcrypted: str = field(repr=False)

    @classmethod
    def of(cls, password: str, *, salt: bytes, iterations: int = ITERATIONS) -> PasswordVerifier:
        """The same, of a password of at most 72 octets."""
        return cls(
            salt=salt,
            iterations=iterations,
            pbkdf2_sha512=hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, 64),
            sha256=_salted(salt, password),
            bcrypted=bcrypt.hashpw(password.encode(), _BCRYPT + _bcrypt_salt(salt)).decode(),
        )

    @property
    def short_salt(self) -> bytes:
        """The first four octets of the salt."""
        return self.salt[:_SHORT_SALT]

    @property
    def digest(self) -> str:
        """16 hex digits that name it in the journal and in what is shown, and prove nothing."""
        return hashlib.sha256(self.pbkdf2_sha512).hexdigest()[:16]

    def is_of(self, password: str) -> bool:
        """Whether that is the password; in constant time."""
        return hmac.compare_digest(self.sha256, _salted(self.salt, password))

    def to_json(self) -> dict[str, Any]:
        """What is stored."""
        return {
            "salt": self.salt.decode("ascii"),
            "iterations": self.iterations,
            "pbkdf2_sha512": base64.b64encode(self.pbkdf2_sha512).decode(),
            "sha256": base64.b64encode(self.sha256).decode(),
            "bcrypt": self.bcrypted,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> PasswordVerifier:
        """The verifier that was stored."""
        return cls(
            salt=kept["salt"].encode("ascii"),
            iterations=kept["iterations"],
            pbkdf2_sha512=base64.b64decode(kept["pbkdf2_sha512"]),
            sha256=base64.b64decode(kept["sha256"]),
            bcrypted=kept["bcrypt"],
        )


def new_password() -> str:
    """A random password: seven groups of four of 31 characters that are told apart at a glance (138 bits)."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def new_salt() -> bytes:
    """A random salt."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_SALT_LETTERS)).encode()


def _salted(salt: bytes, password: str) -> bytes:
    return hashlib.sha256(salt[:_SHORT_SALT] + password.encode("utf-8", "surrogatepass")).digest()


def _bcrypt_salt(salt: bytes) -> bytes:
    """22 letters of bcrypt's, made from all of the salt. Only two bits of the last count: a dot has none."""
    return hashlib.sha256(salt).hexdigest()[:21].encode() + b"."
