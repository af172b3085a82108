"""The custody of keys: each in its place, its row in the database, and those in use in the memory of the process."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.utils.module_loading import import_string

from kernel.conf import master_key
from kernel.core.errors import NotFound
from kernel.core.ids import new_id
from pki.core.key_kinds import algorithm_of, kind_of
from pki.core.keys import SigningKey
from pki.core.ports import AlgorithmNotKept, KeptKey, KeyPlace
from pki.core.values import Custody, KeyAlgorithm, KeyId
from pki.models import Key
from pki.services.opened_keys import OpenedKeys

_PLACES = {
    Custody.ENCRYPTED: "pki.adapters.encrypted.EncryptedKeys",
    Custody.FILE: "pki.adapters.file.FileKeys",
    Custody.PKCS11: "pki.adapters.pkcs11.TokenKeys",  # its library is loaded by those who have a token
}


class UnknownKey(NotFound):
    """There is no row of the key."""

    code = "key-unknown"


@cache
def place_of(custody: Custody) -> KeyPlace:
    """Where keys of this custody are."""
    return cast("KeyPlace", import_string(_PLACES[custody])())


class KeptKeys:
    """What `pki.core.ports.KeyCustody` asks for. Not to be called in a transaction, but for `open`."""

    def __init__(self) -> None:
        self._opened = OpenedKeys()

    def generate(self, algorithm: KeyAlgorithm, custody: Custody = Custody.ENCRYPTED) -> tuple[KeyId, SigningKey]:
        """A fresh key that is kept from now on. Raises AlgorithmNotKept, Unavailable."""
        kept, key = place_of(custody).generate(KeyId(new_id()), algorithm)
        _write_down(kept)
        return kept.id, key

    def adopt(self, key: SigningKey, custody: Custody = Custody.ENCRYPTED) -> KeyId:
        """A key that was made elsewhere, kept from now on. Raises AlgorithmNotKept, Unavailable."""
        algorithm = algorithm_of(key.public_key())
        if algorithm is None:
            raise AlgorithmNotKept(f"A {kind_of(key.public_key())} key signs no certificates: use another.")
        kept = place_of(custody).adopt(KeyId(new_id()), key, algorithm)
        _write_down(kept)
        return kept.id

    def open(self, key: KeyId) -> SigningKey:
        """A kept key, to sign with; read at most once in five minutes.

        Raises UnknownKey, WrongKey, KeyGone, Unavailable.
        """
        under = master_key().current.id
        known = self._opened.get(key, under=under)
        if known is not None:
            return known
        kept = find_kept(key)
        opened = place_of(kept.custody).open(kept)
        self._opened.put(key, opened, under=under)
        return opened

    def custody_of(self, key: KeyId) -> Custody:
        """Where the key is kept, so that one beside it can be kept there too. Raises UnknownKey."""
        return find_kept(key).custody

    def destroy(self, key: KeyId) -> None:
        """The key, which no row may name any more, is gone for ever; other processes sign with it for five minutes yet.

        Raises Unavailable after the row is gone: `manage.py keys check` then names what is left in the token.
        """
        kept = find_kept(key)
        Key.objects.filter(id=key).delete()
        self._opened.forget(key)
        place_of(kept.custody).destroy(kept)


def find_kept(key: KeyId) -> KeptKey:
    """Where the key is. Raises UnknownKey."""
    row = Key.objects.filter(id=key).first()
    if row is None:
        raise UnknownKey("There is no such key any more: was its issuer or signer removed?")
    return kept_of(row)


def kept_of(row: Key) -> KeptKey:
    """The row as the places of custody know it."""
    return KeptKey(
        id=KeyId(row.id),
        algorithm=KeyAlgorithm(row.algorithm),
        custody=Custody(row.custody),
        wrapped=None if row.wrapped is None else bytes(row.wrapped),
        locator=row.locator,
    )


def _write_down(kept: KeptKey) -> None:
    Key.objects.create(
        id=kept.id, algorithm=kept.algorithm, custody=kept.custody, wrapped=kept.wrapped, locator=kept.locator
    )
