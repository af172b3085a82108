"""One edition of an issuer's CRLs: what is published together under one number, signed and read back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from pki.conf import issuer_url
from pki.core.crl import BACKDATED, CrlFacts, build_crl
from pki.core.crl_lint import check_crl
from pki.core.key_ids import key_id_of
from pki.core.keys import SigningKey
from pki.core.values import CrlKind, IssuerId
from pki.models import Crl, Issuer
from pki.queries.crl_entries import RevokedEntries, ShardEntries, read_revoked

VALID_FOR = timedelta(days=7)
REBUILD_AFTER = timedelta(hours=1)
BASE_AGE = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an issuer has published so far, without the octets. `base` is what the next delta begins at."""

    full: Crl | None
    base: Crl | None
    shards: Mapping[int, Crl]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """CRLs of one number: the full one, the delta unless there is no base, and the shards that changed or are due."""

    full: Crl
    others: Sequence[Crl]


def read_standing(issuer: Issuer, *, now: datetime) -> Standing:
    """The newest of each kind. The base is the newest full CRL of at least a day ago, else the oldest there is.

    So whoever has the full CRL of yesterday needs no other one today.
    """
    rows = Crl.objects.filter(issuer=issuer).defer("der")
    fulls = rows.filter(kind=CrlKind.FULL)
    a_day_ago = fulls.filter(this_update__lte=now - BACKDATED - BASE_AGE)
    shards = {row.shard: row for row in rows.filter(kind=CrlKind.SHARD).order_by("number") if row.shard is not None}
    return Standing(
        full=fulls.filter(number=issuer.crl_number).first(),
        base=a_day_ago.order_by("-number").first() or fulls.order_by("number").first(),
        shards=shards,
    )


def published_at(crl: Crl) -> datetime:
    """When it was made, to the second: thisUpdate is five minutes before, for peers whose clocks are behind."""
    return crl.this_update + BACKDATED


def is_old(crl: Crl, *, now: datetime) -> bool:
    """Whether a CRL is to be made anew for its age alone; also if it is of the future, since a clock was set back."""
    return published_at(crl) <= now - REBUILD_AFTER or crl.this_update > now


def build_edition(issuer: Issuer, standing: Standing, *, key: SigningKey, now: datetime, whole: bool) -> Edition:
    """The next edition, with every shard if `whole`. Raises CrlLintFailure."""
    revoked = read_revoked(
        issuer=IssuerId(issuer.id),
        still_valid_at=_still_valid_at(issuer, standing, now=now),
        base_revision=standing.base.revision if standing.base else issuer.revision,
    )
    press = Press(issuer, standing, key=key, now=now, revision=revoked.revision)
    others = [press.shard(shard, of) for shard, of in _shards_to_build(issuer, standing, revoked, now=now, whole=whole)]
    if standing.base is not None:
        others.append(press.delta(standing.base, revoked.shards))
    listed, count = [each.listed for each in revoked.shards], sum(each.listed_count for each in revoked.shards)
    del revoked  # so that a million entries are not kept beside the CRL while it is checked
    return Edition(full=press.full(listed, count), others=others)


def _still_valid_at(issuer: Issuer, standing: Standing, *, now: datetime) -> datetime:
    """What has ended stays until one CRL after its end lists it (5280 3.3), in each place where it is listed."""
    before = [crl.this_update for crl in (standing.full, *standing.shards.values()) if crl]
    return min(now, *before) if before else issuer.not_before


def _shards_to_build(
    issuer: Issuer, standing: Standing, revoked: RevokedEntries, *, now: datetime, whole: bool
) -> list[tuple[int, Collection[ShardEntries]]]:
    """Each shard that a certificate may point to, changed or due, and its entries.

    Certificates keep the shard of their issuance: where there are fewer shards now, the ones above stay.
    """
    found = {each.shard: each for each in revoked.shards if each.shard is not None}
    asked_for = issuer.crl_shards if issuer.crl_shards > 1 else 0
    count = max([asked_for, *(shard + 1 for shard in (*standing.shards, *found))])
    wanted: list[tuple[int, Collection[ShardEntries]]] = []
    for shard in range(count):
        newest, entries = standing.shards.get(shard), found.get(shard)
        changed = newest is None or (entries is not None and entries.changed_revision > newest.revision)
        if whole or newest is None or changed or is_old(newest, now=now):
            wanted.append((shard, (entries,) if entries else ()))
    return wanted


class Press:
    """Signs the CRLs of one edition: they share number, times and revision."""

    def __init__(self, issuer: Issuer, standing: Standing, *, key: SigningKey, now: datetime, revision: int) -> None:
        self._certificate = x509.load_der_x509_certificate(bytes(issuer.der))
        self._issuer, self._key, self._revision = issuer, key, revision
        self._has_delta = standing.base is not None
        self._this_update = _this_update(standing.full, now=now)
        self._next_update = min(now + VALID_FOR, issuer.not_after).replace(microsecond=0)

    def full(self, listed: list[bytes], count: int) -> Crl:
        """The CRL that lists everything; `listed` is emptied.

        It says where the deltas are if there are some: strict peers demand one.
        """
        delta_url = issuer_url(self._issuer.slug, "delta.crl") if self._has_delta else ""
        return self._print(self._facts(delta_url=delta_url), listed, count)

    def delta(self, base: Crl, shards: Collection[ShardEntries]) -> Crl:
        """What changed since the base."""
        facts = self._facts(base_number=base.number)
        return self._print(facts, [each.changed for each in shards], sum(each.changed_count for each in shards))

    def shard(self, shard: int, entries: Collection[ShardEntries]) -> Crl:
        """One shard."""
        facts = self._facts(shard_url=issuer_url(self._issuer.slug, f"crl/{shard}"))
        listed, count = [each.listed for each in entries], sum(each.listed_count for each in entries)
        return self._print(facts, listed, count, shard=shard)

    def _facts(self, *, base_number: int | None = None, shard_url: str = "", delta_url: str = "") -> CrlFacts:
        return CrlFacts(
            issuer_name=self._certificate.subject.public_bytes(),
            key_id=key_id_of(self._certificate),
            number=self._issuer.crl_number + 1,
            this_update=self._this_update,
            next_update=self._next_update,
            base_number=base_number,
            shard_url=shard_url,
            delta_url=delta_url,
        )

    def _print(self, facts: CrlFacts, entries: list[bytes], count: int, *, shard: int | None = None) -> Crl:
        der = build_crl(facts, entries=entries, key=self._key)
        entries.clear()
        check_crl(der, facts=facts, entries=count, issuer=self._certificate.public_key())
        return Crl(
            issuer=self._issuer,
            kind=facts.kind,
            shard=shard,
            number=facts.number,
            base_number=facts.base_number,
            revision=self._revision,
            der=der,
            entries=count,
            this_update=facts.this_update,
            next_update=facts.next_update,
        )


def _this_update(before: Crl | None, *, now: datetime) -> datetime:
    """Five minutes ago, and later than the one before, unless that is of the future, since a clock was set back."""
    wanted = (now - BACKDATED).replace(microsecond=0)
    after = before.this_update + _SECOND if before else wanted
    return after if wanted < after <= now else wanted
