"""Reading what CRLs list, a million entries as easily as one: joined by the database, in one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from django.db import connection, transaction

from pki.core.values import CertificateState, IssuerId
from pki.models import Certificate, Issuer

_LISTED = (CertificateState.REVOKED.value, CertificateState.HELD.value)


class ShardEntries(NamedTuple):
    """Entries of the certificates of one shard (None: of no shard), joined, and how many each time.

    `listed` is what is revoked or on hold, `changed` what was revoked, held or released since a delta's base;
    `changed_revision` is the last revision at which one of them changed.
    """

    shard: int | None
    listed: bytes
    listed_count: int
    changed: bytes
    changed_count: int
    changed_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedEntries:
    """All that an issuer's CRLs list at its `revision`: nothing later, nothing less."""

    revision: int
    shards: tuple[ShardEntries, ...]


def read_revoked(*, issuer: IssuerId, still_valid_at: datetime, base_revision: int) -> RevokedEntries:
    """The entries of certificates that had not ended at `still_valid_at`; changes are those after `base_revision`."""
    if connection.vendor == "postgresql":
        found = [*_aggregated(issuer, still_valid_at, base_revision)]
        shards = [ShardEntries(*row[1:]) for row in found if row[3] or row[5]]
        return RevokedEntries(revision=found[0][0], shards=tuple(sorted(shards, key=_order)))
    with transaction.atomic():
        revision = Issuer.objects.values_list("revision", flat=True).get(id=issuer)
        return RevokedEntries(
            revision=revision, shards=tuple(sorted(_joined(issuer, still_valid_at, base_revision), key=_order))
        )


# One statement is one snapshot, and an index has all that it asks for. In binary and row by row, an entry's octets are
# in memory once.
_AGGREGATE = """
SELECT (SELECT revision FROM pki_issuer WHERE id = %(issuer)s), c.shard,
       coalesce(string_agg(c.crl_entry, ''::bytea) FILTER (WHERE c.state = ANY(%(listed)s)), ''::bytea),
       count(c.crl_entry) FILTER (WHERE c.state = ANY(%(listed)s)),
       coalesce(string_agg(c.crl_entry, ''::bytea) FILTER (WHERE c.changed_revision > %(base)s), ''::bytea),
       count(c.crl_entry) FILTER (WHERE c.changed_revision > %(base)s),
       coalesce(max(c.changed_revision), 0)
  FROM pki_certificate c
 WHERE c.issuer_id = %(issuer)s AND c.crl_entry IS NOT NULL AND c.not_after >= %(still_valid_at)s
 GROUP BY c.shard
UNION ALL
SELECT revision, NULL, ''::bytea, 0, ''::bytea, 0, 0 FROM pki_issuer WHERE id = %(issuer)s
"""


def _aggregated(issuer: IssuerId, still_valid_at: datetime, base_revision: int) -> Iterator[tuple[Any, ...]]:
    connection.ensure_connection()
    asked = {"listed": [*_LISTED], "base": base_revision, "still_valid_at": still_valid_at, "issuer": issuer}
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield from cursor.stream(_AGGREGATE, asked, binary=True)


def _joined(issuer: IssuerId, still_valid_at: datetime, base_revision: int) -> Iterator[ShardEntries]:
    """The same where no database joins octets: row by row."""
    rows = Certificate.objects.filter(issuer_id=issuer, crl_entry__isnull=False, not_after__gte=still_valid_at)
    listed: dict[int | None, list[bytes]] = defaultdict(list)
    changed: dict[int | None, list[bytes]] = defaultdict(list)
    last: dict[int | None, int] = defaultdict(int)
    fields = rows.order_by().values_list("shard", "state", "changed_revision", "crl_entry")
    for shard, state, revision, entry in fields.iterator(5000):
        if state in _LISTED:
            listed[shard].append(bytes(entry or b""))
        if (revision or 0) > base_revision:
            changed[shard].append(bytes(entry or b""))
        last[shard] = max(last[shard], revision or 0)
    for shard, revision in last.items():
        joined = b"".join(listed[shard]), len(listed[shard]), b"".join(changed[shard]), len(changed[shard])
        yield ShardEntries(shard, *joined, revision)


def _order(entries: ShardEntries) -> int:
    return -1 if entries.shard is None else entries.shard
