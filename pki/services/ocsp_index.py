"""What one process knows of every certificate of an issuer: the newest edition, and what happened since.

With it the responder asks the database about nothing but revisions, and goes on while the database is away.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from uuid import UUID

from pki.conf import ocsp_folder
from pki.core.ocsp_edition import DamagedEditionError, Edition, Standing, key_of
from pki.core.values import CertificateState, IssuerId, ReasonCode, serial_hex
from pki.models import Certificate

log = logging.getLogger(__name__)

MAX_CHANGES = 50_000
CAUGHT_UP_EACH = timedelta(seconds=10)
_LATE_FOR = timedelta(seconds=60)  # a row may be committed that long after others with higher ids
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_ALL = UUID(int=0)
FACTS = ("state", "not_after", "revoked_at", "reason")


def edition_path(issuer: IssuerId) -> Path:
    """Where the issuer's newest edition stands."""
    return ocsp_folder() / f"{issuer}.edition"


def standing_of(state: str, not_after: datetime, revoked_at: datetime | None, reason: str) -> Standing | None:
    """The standing of a row with these FACTS; None for a certificate that is not signed yet."""
    if state == CertificateState.REQUESTED:
        return None
    ends_at = int(not_after.timestamp())
    if state == CertificateState.ISSUED or revoked_at is None:
        return Standing(ends_at)
    return Standing(ends_at, int(revoked_at.timestamp()), ReasonCode(reason).number)


def read_standing(issuer: IssuerId, serial: int) -> Standing | None:
    """The standing of the issuer's certificate with that serial number, as the database has it now; None without."""
    row = Certificate.objects.filter(issuer_id=issuer, serial=serial_hex(serial)).values_list(*FACTS).first()
    return standing_of(*row) if row else None


@dataclass(slots=True)
class IssuerIndex:
    """Every certificate of an issuer up to `revision`; thread-safe. Look first at `changes`, by serial number.

    It `overflowed` if more changed than is kept in memory: then only the database knows, until the next edition.
    """

    issuer: IssuerId
    revision: int
    edition: Edition | None = None
    changes: dict[int, Standing] = field(default_factory=dict)
    overflowed: bool = False
    _file: tuple[int, int] | None = None
    _seen_up_to: UUID = _BEFORE_ALL
    _caught_up_at: datetime = _LONG_AGO
    _writing: Lock = field(default_factory=Lock)

    @classmethod
    def open(cls, issuer: IssuerId, *, revision: int) -> IssuerIndex:
        """The index of an issuer that is at `revision` now. What was issued since the edition comes by `keep_up`."""
        path = edition_path(issuer)
        file = _identity(path)
        try:
            edition = Edition(path) if file else None
        except (FileNotFoundError, DamagedEditionError) as error:
            log.warning("the OCSP edition of %s can not be used: %s", issuer, error)
            edition = None
        if edition is None:
            return cls(issuer, revision, _file=file)
        index = cls(issuer, edition.imprint.revision, edition, _file=file, _seen_up_to=UUID(edition.imprint.newest))
        index.take_changes(revision)
        return index

    def find(self, serial: int) -> Standing | None:
        """The certificate's standing, or None if the database has to be asked."""
        if self.overflowed:
            return None
        standing = self.changes.get(serial)
        if standing is None and self.edition:
            found = self.edition.find(key_of(serial))
            standing = found[0] if found else None
        return standing

    def remember(self, serial: int, standing: Standing, *, revision: int) -> None:
        """Keeps what the database was asked for while the index was at `revision`."""
        with self._writing:
            if revision == self.revision and len(self.changes) < MAX_CHANGES:
                self.changes.setdefault(serial, standing)

    def take_changes(self, revision: int) -> None:
        """Brings it up to the issuer's `revision`, which was read before: all revoked, held and released since."""
        if revision == self.revision:
            return
        since = Certificate.objects.filter(issuer_id=self.issuer, changed_revision__gt=self.revision)
        rows = since.order_by("changed_revision").values_list("serial", *FACTS)[: MAX_CHANGES + 1]
        with self._writing:
            found = dict(_standings(rows))
            self.changes.update(found)
            self.overflowed = self.overflowed or len(found) > MAX_CHANGES or len(self.changes) > 2 * MAX_CHANGES
            if self.overflowed:
                self.changes.clear()
            self.revision = revision

    def keep_up(self, *, now: datetime) -> IssuerIndex:
        """Itself with what was issued of late, or an index on a newer edition."""
        if _identity(edition_path(self.issuer)) != self._file:
            return IssuerIndex.open(self.issuer, revision=self.revision)
        if not timedelta(0) <= now - self._caught_up_at < CAUGHT_UP_EACH:
            self._caught_up_at = now
            self._take_issued()
        return self

    def _take_issued(self) -> None:
        """What has a higher id than was seen; looks again at what was not signed then, or not committed."""
        if self.overflowed or len(self.changes) >= MAX_CHANGES:
            return
        rows = Certificate.objects.filter(issuer_id=self.issuer, id__gt=self._seen_up_to).order_by("id")
        found = [*rows.values_list("id", "serial", *FACTS)[: MAX_CHANGES - len(self.changes)]]
        with self._writing:
            for serial, standing in _standings(row[1:] for row in found):
                if self.edition is None or self.edition.find(key_of(serial)) is None:
                    self.changes.setdefault(serial, standing)
        if found:
            waiting = (row[0] for row in found if row[2] == CertificateState.REQUESTED)
            first_waiting = next(waiting, None)
            seen = UUID(int=max(0, found[-1][0].int - _AS_ID))
            if first_waiting is not None:
                seen = min(seen, UUID(int=first_waiting.int - 1))
            self._seen_up_to = max(self._seen_up_to, seen)


_AS_ID = int(_LATE_FOR.total_seconds() * 1000) << 80  # the upper 48 bits of a UUIDv7 are milliseconds


def _standings(rows: Iterable[tuple[str, str, datetime, datetime | None, str]]) -> Iterable[tuple[int, Standing]]:
    for serial, state, not_after, revoked_at, reason in rows:
        standing = standing_of(state, not_after, revoked_at, reason)
        if standing is not None:
            yield int(serial, 16), standing


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes when another file takes its name; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
