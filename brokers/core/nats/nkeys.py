"""NATS nkeys: Ed25519 keys spelled in base32 with a type and a CRC-16, and the JWTs that are signed by them.

Sources: the nkeys specification (prefix bytes, CRC-16/XMODEM, RFC 4648 base32 without padding) and NATS JWT v2, whose
header is `{"typ":"JWT","alg":"ed25519-nkey"}`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

_PREFIXES = {"A": 0, "N": 13 << 3, "U": 20 << 3}  # account, server, user
_SEED = 18 << 3
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class BadNkeyError(ValueError):
    """The text is no key of the kind, or no JWT by it."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """An account's signing key. Its `repr` hides the seed."""

    _key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"AccountKey({self.public})"

    @classmethod
    def generate(cls) -> AccountKey:
        """A fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: str) -> AccountKey:
        """The key that a seed (`SA…`) spells. Raises BadNkeyError."""
        raw = _unbase32(seed)
        first, second = raw[0] & 0xF8, (raw[0] & 7) << 5 | raw[1] >> 3
        if first != _SEED or second != _PREFIXES["A"] or len(raw) != 34:
            raise BadNkeyError("not the seed of an account")
        return cls(Ed25519PrivateKey.from_private_bytes(raw[2:]))

    @property
    def seed(self) -> str:
        """The seed, a secret."""
        raw = self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        kind = _PREFIXES["A"]
        return _base32(bytes((_SEED | kind >> 5, (kind & 31) << 3)) + raw)

    @property
    def public(self) -> str:
        """The public key (`A…`)."""
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return _base32(bytes((_PREFIXES["A"],)) + raw)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a JWT by this key."""
        head = f"{_segment(_HEADER)}.{_segment(claims)}"
        return f"{head}.{_base64(self._key.sign(head.encode()))}"


def verified_claims(token: str, *, kind: str) -> dict[str, Any]:
    """The claims of a JWT that is signed by its own issuer, a key of that kind (`N`: a server). Raises BadNkeyError."""
    try:
        head, payload, signature = token.split(".")
        claims = json.loads(_unbase64(payload))
        if json.loads(_unbase64(head)).get("alg") != _HEADER["alg"]:
            raise BadNkeyError("not signed by an nkey")
        public_key(claims["iss"], kind=kind).verify(_unbase64(signature), f"{head}.{payload}".encode())
    except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature) as error:
        raise BadNkeyError("not a JWT by its issuer") from error
    found: dict[str, Any] = claims
    return found


def public_key(text: str, *, kind: str) -> Ed25519PublicKey:
    """The public key that the text spells. Raises BadNkeyError."""
    raw = _unbase32(text)
    if len(raw) != 33 or raw[0] != _PREFIXES[kind]:
        raise BadNkeyError(f"not a public key of kind {kind}")
    return Ed25519PublicKey.from_public_bytes(raw[1:])


def _base32(raw: bytes) -> str:
    check = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + check).decode().rstrip("=")


def _unbase32(text: str) -> bytes:
    try:
        octets = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise BadNkeyError("not base32") from error
    raw, check = octets[:-2], octets[-2:]
    if len(raw) < 2 or binascii.crc_hqx(raw, 0).to_bytes(2, "little") != check:
        raise BadNkeyError("a wrong check sum")
    return raw


def _segment(document: Mapping[str, Any]) -> str:
    return _base64(json.dumps(document, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
