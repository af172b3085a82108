"""Key custody in the database: PKCS#8 in an AES-256-GCM envelope under the master key."""

from __future__ import annotations

from kernel.conf import master_key
from kernel.core.ids import new_id
from pki.core.keys import SigningKey, generate_key, key_from_der, key_to_der
from pki.core.values import KeyAlgorithm, KeyId
from pki.models import Key

_PURPOSE = "pki.key"


class EncryptedCustody:
    """The default custody."""

    def generate(self, algorithm: KeyAlgorithm) -> tuple[KeyId, SigningKey]:
        """A fresh key that is kept from now on."""
        key_id, key = KeyId(new_id()), generate_key(algorithm)
        envelope = master_key().wrap(key_to_der(key), purpose=_PURPOSE, context=str(key_id))
        Key.objects.create(id=key_id, algorithm=algorithm, wrapped=envelope)
        return key_id, key

    def open(self, key: KeyId) -> SigningKey:
        """A kept key, to sign with. Raises WrongKey if it was made under another master key."""
        envelope = bytes(Key.objects.get(id=key).wrapped or b"")
        return key_from_der(master_key().unwrap(envelope, purpose=_PURPOSE, context=str(key)))
