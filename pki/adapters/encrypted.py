"""Keys in the database: PKCS#8 in an AES-256-GCM envelope under the master key."""

from __future__ import annotations

from dataclasses import replace

from kernel.conf import master_key
from pki.core.keys import SigningKey, generate_key, key_from_der, key_to_der
from pki.core.ports import KeptKey
from pki.core.values import Custody, KeyAlgorithm, KeyId

PURPOSE = "pki.key"


class EncryptedKeys:
    """The custody that needs nothing but the database."""

    def generate(self, id: KeyId, algorithm: KeyAlgorithm) -> tuple[KeptKey, SigningKey]:
        """A fresh key and its envelope."""
        key = generate_key(algorithm)
        return self.adopt(id, key, algorithm), key

    def adopt(self, id: KeyId, key: SigningKey, algorithm: KeyAlgorithm) -> KeptKey:
        """The key's envelope. Raises KeyStays."""
        return KeptKey(id=id, algorithm=algorithm, custody=Custody.ENCRYPTED, wrapped=seal_key(id, key))

    def open(self, kept: KeptKey) -> SigningKey:
        """The key in the envelope. Raises WrongKey."""
        return open_key(kept.id, kept.wrapped or b"")

    def envelope(self, kept: KeptKey) -> bytes | None:
        """What the row has."""
        return kept.wrapped

    def rewrap(self, kept: KeptKey) -> KeptKey | None:
        """The same under the present master key, or None if it is already. Raises WrongKey."""
        fresh = rewrap_key(kept.id, kept.wrapped or b"")
        return None if fresh is None else replace(kept, wrapped=fresh)

    def destroy(self, kept: KeptKey) -> None:
        """Nothing: the envelope goes with its row."""

    def held(self) -> dict[KeyId, str]:
        """None: all of them are rows."""
        return {}


def seal_key(id: KeyId, key: SigningKey) -> bytes:
    """The envelope of a key, which opens under this id alone. Raises KeyStays."""
    return master_key().wrap(key_to_der(key), purpose=PURPOSE, context=str(id))


def open_key(id: KeyId, envelope: bytes) -> SigningKey:
    """The key in an envelope. Raises WrongKey."""
    return key_from_der(master_key().unwrap(envelope, purpose=PURPOSE, context=str(id)))


def rewrap_key(id: KeyId, envelope: bytes) -> bytes | None:
    """The envelope under the present master key, or None if it is already. Raises WrongKey."""
    return master_key().rewrap(envelope, purpose=PURPOSE, context=str(id))
