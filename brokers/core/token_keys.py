"""The life of the keys that sign access tokens: published, then signing, then published until the last token ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from joserfc.jwk import ECKey

ALGORITHM = "ES256"
SIGNS_FOR = timedelta(days=30)
KNOWN_BEFORE = timedelta(days=2)  # verifiers read the key set anew each 5 to 30 minutes; some only when they restart
KNOWN_AFTER = timedelta(hours=2)  # no token lives as long


class KeyState(StrEnum):
    """What becomes of a key: it is to sign, it signs, or tokens that it signed may still be good."""

    NEXT = "next"
    SIGNING = "signing"
    OLD = "old"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A key without its private half. `kid` is its thumbprint (RFC 7638); it signs from `signs_from` on."""

    number: int
    kid: str
    public_key: bytes
    created_at: datetime
    signs_from: datetime


def new_key() -> tuple[str, ECKey]:
    """A fresh P-256 key and its thumbprint."""
    key = ECKey.generate_key("P-256")
    return key.thumbprint(), key


def signing_key(keys: Sequence[TokenKey], *, now: datetime) -> TokenKey | None:
    """The key that signs now: of those whose time has come, the one whose time came last."""
    begun = [key for key in keys if key.signs_from <= now]
    return max(begun, key=lambda key: key.number, default=None)


def state_of(key: TokenKey, keys: Sequence[TokenKey], *, now: datetime) -> KeyState:
    """What becomes of the key among all of them."""
    if key.signs_from > now:
        return KeyState.NEXT
    return KeyState.SIGNING if key == signing_key(keys, now=now) else KeyState.OLD


def next_signs_from(keys: Sequence[TokenKey], *, now: datetime) -> datetime | None:
    """From when on a key that has to be made now would sign; None if none has to be made."""
    if not keys:
        return now
    due = max(key.signs_from for key in keys) + SIGNS_FOR
    return max(due, now + KNOWN_BEFORE) if due - KNOWN_BEFORE <= now else None


def outlived(keys: Sequence[TokenKey], *, now: datetime) -> list[TokenKey]:
    """Those whose last token has ended."""
    successors = [key for key in keys if key.signs_from <= now - KNOWN_AFTER]
    last = max((key.number for key in successors), default=0)
    return [key for key in keys if key.number < last]


def key_set(keys: Sequence[TokenKey]) -> dict[str, list[dict[str, str]]]:
    """The JWK Set (RFC 7517 5) of the keys."""
    return {"keys": [_jwk(key) for key in keys]}


def _jwk(key: TokenKey) -> dict[str, str]:
    found = ECKey.import_key(key.public_key).as_dict(private=False)
    point = {name: str(found[name]) for name in ("kty", "crv", "x", "y")}
    return {**point, "kid": key.kid, "use": "sig", "alg": ALGORITHM}
