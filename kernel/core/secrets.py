"""Secrets at rest: a master key, derived keys by purpose, authenticated wrapping, keyed hashes.

AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit nonce; HKDF-SHA256 (RFC 5869) for derived keys. Envelopes and keyed
hashes say which master key they hang on, by an id that is derived from it one-way, so that it can be replaced.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kernel.core.errors import Invalid

_VERSION = b"\x02"
_ID_OCTETS = 8
_HEADER_OCTETS = 1 + _ID_OCTETS
_NONCE_OCTETS = 12
_MARK_OCTETS = 4
_ID_PURPOSE = "kernel.master_key.id"


class WrongKey(Invalid):
    """The envelope was made under another master key, for another purpose, or was changed."""

    code = "wrong-key"


class MasterKey:
    """A 256-bit key that everything secret hangs on. Its `repr` hides it."""

    __slots__ = ("_derived", "_octets", "id")

    def __init__(self, octets: bytes) -> None:
        if len(octets) != 32:
            raise Invalid("The master key has to be 32 octets: make one with `openssl rand -base64 32`.")
        self._octets = octets
        self._derived: dict[str, bytes] = {}
        self.id = self.derive(_ID_PURPOSE)[:_ID_OCTETS]

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
        """32 octets for `purpose`, one of few; another purpose gives an unrelated key."""
        if purpose not in self._derived:
            self._derived[purpose] = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(self._octets)
        return self._derived[purpose]

    def wrap(self, plaintext: bytes, *, purpose: str, context: str) -> bytes:
        """`plaintext` as an envelope: version, key id, nonce, ciphertext and tag.

        Only the same purpose and context open it.
        """
        header, nonce = _VERSION + self.id, os.urandom(_NONCE_OCTETS)
        sealed = AESGCM(self.derive(purpose)).encrypt(nonce, plaintext, header + context.encode())
        return header + nonce + sealed

    def unwrap(self, envelope: bytes, *, purpose: str, context: str) -> bytes:
        """What `wrap` was given. Raises WrongKey."""
        header, rest = envelope[:_HEADER_OCTETS], envelope[_HEADER_OCTETS:]
        try:
            if not self.made(envelope):
                raise InvalidTag
            nonce, sealed = rest[:_NONCE_OCTETS], rest[_NONCE_OCTETS:]
            return AESGCM(self.derive(purpose)).decrypt(nonce, sealed, header + context.encode())
        except (InvalidTag, ValueError) as error:
            raise WrongKey(
                "A stored secret does not open with this master key: start with the one it was made under."
            ) from error

    def keyed_hash(self, value: str, *, purpose: str) -> bytes:
        """What is stored of a token, 32 octets: 4 of the key's id, then HMAC-SHA256 cut to 28 (RFC 2104 5)."""
        digest = hmac.digest(self.derive(purpose), value.encode(), "sha256")
        return self.mark + digest[: 32 - _MARK_OCTETS]

    @property
    def mark(self) -> bytes:
        """How keyed hashes under this key begin."""
        return self.id[:_MARK_OCTETS]

    def made(self, envelope_or_hash: bytes) -> bool:
        """Whether an envelope, or a keyed hash, says that it hangs on this key. No envelope is as short as a hash."""
        if len(envelope_or_hash) == 32:
            return envelope_or_hash[:_MARK_OCTETS] == self.mark
        return envelope_or_hash[:_HEADER_OCTETS] == _VERSION + self.id


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The master key, and others that are believed: those before it, or the one that is to follow it."""

    current: MasterKey
    others: tuple[MasterKey, ...] = ()

    @property
    def all(self) -> tuple[MasterKey, ...]:
        """Each key, the current one first."""
        return self.current, *self.others

    def knows(self, envelope: bytes) -> bool:
        """Whether the envelope says that it hangs on one of them."""
        return any(key.made(envelope) for key in self.all)

    def derive(self, purpose: str) -> bytes:
        """32 octets of the current key for `purpose`."""
        return self.current.derive(purpose)

    def wrap(self, plaintext: bytes, *, purpose: str, context: str) -> bytes:
        """An envelope under the current key."""
        return self.current.wrap(plaintext, purpose=purpose, context=context)

    def unwrap(self, envelope: bytes, *, purpose: str, context: str) -> bytes:
        """What was wrapped under any of the keys. Raises WrongKey."""
        for key in self.all:
            if key.made(envelope):
                return key.unwrap(envelope, purpose=purpose, context=context)
        name = id_of_key(envelope)
        if not name:
            raise WrongKey("A stored secret is damaged: restore it from a backup, or make it anew.")
        raise WrongKey(f"A stored secret hangs on the master key {name}, which is not known here: {ADVICE}")

    def rewrap(self, envelope: bytes, *, purpose: str, context: str) -> bytes | None:
        """The same under the current key; None if it is already. Raises WrongKey."""
        if self.current.made(envelope):
            return None
        plaintext = self.unwrap(envelope, purpose=purpose, context=context)
        return self.wrap(plaintext, purpose=purpose, context=context)

    def keyed_hash(self, value: str, *, purpose: str) -> bytes:
        """What is stored of a token, under the current key."""
        return self.current.keyed_hash(value, purpose=purpose)

    def keyed_hashes(self, value: str, *, purpose: str) -> list[bytes]:
        """What may be stored of a token: its hash under each key, the current one first."""
        return [key.keyed_hash(value, purpose=purpose) for key in self.all]

    def is_hash_of(self, stored: bytes, value: str, *, purpose: str) -> bool:
        """Whether `stored` is the hash of the token under any of the keys."""
        found = [same(stored, each) for each in self.keyed_hashes(value, purpose=purpose)]
        return any(found)


ADVICE = "start with it as GATEHOUSE_MASTER_KEY, or among GATEHOUSE_MASTER_KEY_PREVIOUS."


def id_of_key(envelope: bytes) -> str:
    """The id of the master key that the envelope says it hangs on, as hex; empty if it is no envelope."""
    if envelope[:1] != _VERSION or len(envelope) < _HEADER_OCTETS + _NONCE_OCTETS:
        return ""
    return envelope[1:_HEADER_OCTETS].hex()


class Hidden:
    """A text that `repr` and `str` hide: a PIN, a password."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Hidden(hidden)"

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """The text, for the one call that needs it."""
        return self._text


def same(left: bytes, right: bytes) -> bool:
    """Whether both are equal, in constant time."""
    return hmac.compare_digest(left, right)


def new_token(octets: int = 24) -> str:
    """A random token, URL-safe, of `octets` times 8 bits."""
    return secrets.token_urlsafe(octets)
