"""What the certificate authority asks of the outside."""

from __future__ import annotations

from typing import Protocol

from pki.core.keys import SigningKey
from pki.core.values import KeyAlgorithm, KeyId


class KeyCustody(Protocol):
    """Keeps issuers' private keys. What it hands out signs, and does not leave the process."""

    def generate(self, algorithm: KeyAlgorithm) -> tuple[KeyId, SigningKey]:
        """A fresh key that is kept from now on."""
        ...

    def open(self, key: KeyId) -> SigningKey:
        """A kept key, to sign with. Raises WrongKey if it can not be opened."""
        ...
