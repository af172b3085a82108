"""What is published for an issuer, and how long each of it holds: values that findings and metrics are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kernel.core.ids import DomainId
from pki.core.values import CrlKind, IssuerId, IssuerKind, IssuerState


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlFreshness:
    """The newest CRL of its kind and shard, without its octets."""

    kind: CrlKind
    shard: int | None
    number: int
    this_update: datetime
    next_update: datetime
    entries: int

    @property
    def name(self) -> str:
        """How people call it: `full CRL`, `delta CRL`, `CRL of shard 7`."""
        return f"CRL of shard {self.shard}" if self.kind is CrlKind.SHARD else f"{self.kind.value} CRL"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerFreshness:
    """The newest OCSP signer that is neither revoked nor ended."""

    not_before: datetime
    not_after: datetime


class RequestKind(StrEnum):
    """What somebody elsewhere has yet to sign."""

    CERTIFICATE = "certificate"
    CRL = "crl"
    ISSUER = "issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """Something that was handed out to be signed elsewhere, and has not come back. `slug` is the issuer's, or to be."""

    id: str
    domain: DomainId
    kind: RequestKind
    slug: str
    purpose: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerFreshness:
    """An issuer and what is published for it.

    `leaf_validity` is that of the profile that it mostly signs. `last_leaf_ends_at` is the latest end of its good
    certificates, None without any. `unpublished_since`: when the oldest change that its full CRL lacks was made. Of
    `crl_shards`, 0 and 1 mean none.
    """

    id: IssuerId
    domain: DomainId
    slug: str
    kind: IssuerKind
    state: IssuerState
    successor: str
    not_before: datetime
    not_after: datetime
    is_revoked: bool
    leaf_validity: timedelta
    last_leaf_ends_at: datetime | None
    has_held_leaves: bool
    crl_shards: int
    unpublished_since: datetime | None
    crls: tuple[CrlFreshness, ...]
    signer: SignerFreshness | None

    def has_leaves(self, now: datetime) -> bool:
        """Whether something that it signed is good still, or may become so again."""
        good = self.last_leaf_ends_at is not None and self.last_leaf_ends_at > now
        return good or self.has_held_leaves

    def is_in_use(self, now: datetime) -> bool:
        """Whether relying parties ask for its CRL and OCSP answers."""
        ours = self.kind is not IssuerKind.TRUSTED and self.state is not IssuerState.RETIRED
        return ours and not self.is_revoked and now < self.not_after
