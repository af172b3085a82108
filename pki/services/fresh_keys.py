"""Fresh keys: kept once something names them, destroyed if nothing comes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pki.core.values import KeyId
from pki.services.custody import custody


@contextmanager
def kept_if_used(key: KeyId) -> Iterator[None]:
    """Destroys a fresh key if what it was made for does not come about. Not to be entered in a transaction."""
    try:
        yield
    except Exception:
        custody.destroy(key)
        raise
