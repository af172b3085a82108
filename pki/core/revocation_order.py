"""Which certificates are to be revoked together, and the mark of a set of them, so that none is revoked unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from kernel.core.clock import to_rfc3339
from kernel.core.errors import Invalid
from kernel.core.ids import DomainId

_NONE = UUID(int=0)
_ID_DIGITS = 32
_TIMES = frozenset({"issued_from", "issued_before", "ends_from", "ends_before"})


class BroadRevocation(Invalid):
    """Nothing narrows what is to be revoked."""

    code = "revocation-unnarrowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFilter:
    """All of it has to fit; what is empty does not narrow. It asks for nothing that ever changes.

    `issuer` is a slug; `serial` and `subject` are beginnings, in hex and as in `CN=pump-1`; `…_from` is inclusive,
    `…_before` exclusive.
    """

    issuer: str = ""
    profile: str = ""
    holder: str = ""
    subject: str = ""
    serial: str = ""
    issued_from: datetime | None = None
    issued_before: datetime | None = None
    ends_from: datetime | None = None
    ends_before: datetime | None = None

    def __post_init__(self) -> None:
        if not any(getattr(self, each.name) for each in fields(self)):
            raise BroadRevocation("Say which certificates: by issuer, profile, holder, subject, serial number or time.")

    def as_document(self) -> dict[str, str]:
        """What narrows, as JSON."""
        found = {name: value for name, value in asdict(self).items() if value}
        return {name: to_rfc3339(value) if name in _TIMES else value for name, value in found.items()}

    @classmethod
    def from_document(cls, document: Mapping[str, str]) -> Self:
        """The filter that `as_document` gave."""
        read: dict[str, Any] = {
            name: datetime.fromisoformat(value) if name in _TIMES else value for name, value in document.items()
        }
        return cls(**read)


def digest_of(*, domain: DomainId, wanted: RevocationFilter, count: int, newest: UUID | None) -> str:
    """The mark of a set of certificates: `count` of them fit and are not revoked, none newer than `newest`.

    64 hex digits: the id of the newest, and half of a hash over all of it. What fits never changes, and what is revoked
    stays so: as long as the count up to the newest is the same, the set is, whatever is issued meanwhile.
    """
    named = [str(domain), wanted.as_document(), count, str(newest)]
    found = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
    return (newest or _NONE).hex + found[:_ID_DIGITS]


def newest_in(digest: str) -> UUID | None:
    """The newest certificate of the set that was marked so; None if there was none, or if it is no such mark."""
    try:
        found = UUID(hex=digest[:_ID_DIGITS])
    except ValueError:
        return None
    return None if found == _NONE else found
