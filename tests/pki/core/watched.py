"""An issuer that is well, as the rules of findings see it, to be made worse."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from pki.core.freshness import CrlFreshness, IssuerFreshness, SignerFreshness
from pki.core.values import CrlKind, IssuerId, IssuerKind, IssuerState
from tests.cast import NORTH, NOW


def crl(
    *,
    kind: CrlKind = CrlKind.FULL,
    shard: int | None = None,
    this_update: datetime = NOW,
    validity: timedelta = timedelta(days=7),
) -> CrlFreshness:
    """A CRL of seven days, made now."""
    return CrlFreshness(
        kind=kind, shard=shard, number=1, this_update=this_update, next_update=this_update + validity, entries=0
    )


def watched(*, slug: str = "north-ca", **changes: Any) -> IssuerFreshness:
    """An issuer in the first half of its five years, with a CRL and a signer of today."""
    well = IssuerFreshness(
        id=IssuerId(uuid5(NAMESPACE_DNS, slug)),
        domain=NORTH,
        slug=slug,
        kind=IssuerKind.ONLINE,
        state=IssuerState.ACTIVE,
        successor="",
        not_before=NOW - timedelta(days=700),
        not_after=NOW + timedelta(days=1126),
        is_revoked=False,
        leaf_validity=timedelta(days=365),
        last_leaf_ends_at=None,
        has_held_leaves=False,
        crl_shards=0,
        unpublished_since=None,
        crls=(crl(),),
        signer=SignerFreshness(not_before=NOW, not_after=NOW + timedelta(days=14)),
    )
    return replace(well, **changes)
