"""What the certificate authority asks of the outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from kernel.core.errors import Invalid, Unavailable
from kernel.core.secrets import Hidden
from pki.core.keys import SigningKey
from pki.core.values import Custody, KeyAlgorithm, KeyId


class AlgorithmNotKept(Invalid):
    """This custody can not keep, or not sign with, keys of that sort."""

    code = "custody-algorithm"


class KeyGone(Unavailable):
    """The key is not where it was put: a file of another machine, an object that was deleted from the token."""

    code = "key-gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """A hardware token: the PKCS#11 library of its maker, the token's label, and the user's PIN."""

    module: str
    label: str
    pin: Hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """Where a key is kept: `wrapped` is its envelope (`encrypted`), `locator` names its file or place in a token."""

    id: KeyId
    algorithm: KeyAlgorithm
    custody: Custody
    wrapped: bytes | None = field(default=None, repr=False)
    locator: str = ""


class KeyPlace(Protocol):
    """One sort of custody. It knows no table: what it hands out is written down, and comes back to it, as a KeptKey."""

    def generate(self, id: KeyId, algorithm: KeyAlgorithm) -> tuple[KeptKey, SigningKey]:
        """A fresh key in this place. Raises AlgorithmNotKept, Unavailable."""
        ...

    def adopt(self, id: KeyId, key: SigningKey, algorithm: KeyAlgorithm) -> KeptKey:
        """A key that was made elsewhere, kept here from now on. Raises AlgorithmNotKept, Unavailable."""
        ...

    def open(self, kept: KeptKey) -> SigningKey:
        """The key, to sign with. Raises WrongKey, KeyGone, Unavailable."""
        ...

    def envelope(self, kept: KeptKey) -> bytes | None:
        """What the key is wrapped in; None if it hangs on no master key. Raises KeyGone."""
        ...

    def rewrap(self, kept: KeptKey) -> KeptKey | None:
        """The same key under the present master key; None if it is already, or is under none. Raises as `open`."""
        ...

    def destroy(self, kept: KeptKey) -> None:
        """The key is gone for ever, if it was there."""
        ...

    def held(self) -> dict[KeyId, str]:
        """The keys that are in this place beside the database, each with its locator. Raises Unavailable."""
        ...


class KeyCustody(Protocol):
    """Keeps issuers' private keys, wherever each of them is. What it hands out signs, and stays in the process."""

    def generate(self, algorithm: KeyAlgorithm, custody: Custody = Custody.ENCRYPTED) -> tuple[KeyId, SigningKey]:
        """A fresh key that is kept from now on. Raises AlgorithmNotKept, Unavailable."""
        ...

    def adopt(self, key: SigningKey, custody: Custody = Custody.ENCRYPTED) -> KeyId:
        """A key that was made elsewhere, kept from now on. Raises AlgorithmNotKept, Unavailable."""
        ...

    def open(self, key: KeyId) -> SigningKey:
        """A kept key, to sign with. Raises UnknownKey, WrongKey, KeyGone, Unavailable."""
        ...

    def custody_of(self, key: KeyId) -> Custody:
        """Where the key is kept, so that one beside it can be kept there too. Raises UnknownKey."""
        ...

    def destroy(self, key: KeyId) -> None:
        """The key, which no row may name any more, is gone for ever. Not to be called in a transaction."""
        ...
