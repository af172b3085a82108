"""An issuer's key in its custody."""

from __future__ import annotations

from kernel.conf import master_key
from kernel.core.ids import new_id
from pki.core.key_kinds import algorithm_of
from pki.core.keys import SigningKey, key_to_der
from pki.core.values import Custody, KeyAlgorithm, KeyId
from pki.models import Key
from pki.services.custody import custody as keys


def make_key(algorithm: KeyAlgorithm, *, custody: Custody) -> tuple[KeyId, SigningKey]:
    """A fresh key that is kept from now on."""
    return keys.generate(algorithm)


def adopt_key(key: SigningKey, *, custody: Custody) -> KeyId:
    """The id of a key that was made elsewhere, kept from now on."""
    key_id = KeyId(new_id())
    envelope = master_key().wrap(key_to_der(key), purpose="pki.key", context=str(key_id))
    Key.objects.create(id=key_id, algorithm=algorithm_of(key.public_key()), wrapped=envelope)
    return key_id
