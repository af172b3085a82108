"""Secrets at rest: one master key, derived keys by purpose, authenticated wrapping, keyed hashes.

AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit nonce; HKDF-SHA256 (RFC 5869) for derived keys.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kernel.core.errors import Invalid

_VERSION = b"\x01"
_NONCE_OCTETS = 12


class WrongKey(Invalid):
    """The envelope was made under another master key, for another purpose, or was changed."""

    code = "wrong-key"


class MasterKey:
    """The 256-bit key that everything secret hangs on. Its `repr` hides it."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        if len(octets) != 32:
            raise Invalid("The master key has to be 32 octets: make one with `openssl rand -base64 32`.")
        self._octets = octets

    def __repr__(self) -> str:
        return "MasterKey(hidden)"

    @classmethod
    def generate(cls) -> MasterKey:
        """A new random key."""
        return cls(os.urandom(32))

    @classmethod
    def from_base64(cls, text: str) -> MasterKey:
        """The key that `text` (base64, with or without padding) spells. Raises Invalid."""
        try:
            return cls(base64.b64decode(text.strip() + "=" * (-len(text.strip()) % 4), validate=True))
        except ValueError as error:
            raise Invalid("The master key is not base64: make one with `openssl rand -base64 32`.") from error

    def to_base64(self) -> str:
        """The key as base64, for the one file that keeps it."""
        return base64.b64encode(self._octets).decode()

    def derive(self, purpose: str) -> bytes:
        """32 octets for `purpose`; another purpose gives an unrelated key."""
        return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(self._octets)

    def wrap(self, plaintext: bytes, *, purpose: str, context: str) -> bytes:
        """`plaintext` as an envelope: version, nonce, ciphertext and tag. Only the same purpose and context open it."""
        nonce = os.urandom(_NONCE_OCTETS)
        sealed = AESGCM(self.derive(purpose)).encrypt(nonce, plaintext, _VERSION + context.encode())
        return _VERSION + nonce + sealed

    def unwrap(self, envelope: bytes, *, purpose: str, context: str) -> bytes:
        """What `wrap` was given. Raises WrongKey."""
        nonce, sealed = envelope[1 : 1 + _NONCE_OCTETS], envelope[1 + _NONCE_OCTETS :]
        try:
            if envelope[:1] != _VERSION:
                raise InvalidTag
            return AESGCM(self.derive(purpose)).decrypt(nonce, sealed, _VERSION + context.encode())
        except (InvalidTag, ValueError) as error:
            raise WrongKey(
                "A stored secret does not open with this master key: start with the one it was made under."
            ) from error

    def keyed_hash(self, value: str, *, purpose: str) -> bytes:
        """HMAC-SHA256 of `value`, 32 octets: what is stored of a token."""
        return hmac.digest(self.derive(purpose), value.encode(), "sha256")


def same(left: bytes, right: bytes) -> bool:
    """Whether both are equal, in constant time."""
    return hmac.compare_digest(left, right)


def new_token(octets: int = 24) -> str:
    """A random token, URL-safe, of `octets` times 8 bits."""
    return secrets.token_urlsafe(octets)
