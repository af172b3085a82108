"""What is seen of a certificate from outside, and whether what is seen agrees with what we know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pki.core.values import CertificateState, IssuedCertificate

SHOWS_WITHIN = timedelta(seconds=10)
"""By when a change has to show in CRLs: one is built each two to five seconds, and then has to come here."""


class Sort(StrEnum):
    """Who was asked."""

    OCSP = "OCSP"
    CRL = "CRL"


class Listed(StrEnum):
    """What it says."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One answer as a client gets it. `fault`: why a client gets none, or would not believe it.

    `asked` is False where the certificate names nobody to ask. A CRL says `good` by not listing the certificate.
    """

    sort: Sort
    url: str = ""
    fault: str = ""
    asked: bool = True
    listed: Listed | None = None
    reason: str = ""
    revoked_at: datetime | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None
    number: int | None = None
    elapsed_ms: int | None = None

    @property
    def on_hold(self) -> bool:
        """Whether the certificate is said to be on hold."""
        return self.listed is Listed.REVOKED and self.reason == "certificateHold"


def disagreements(certificate: IssuedCertificate, sightings: Sequence[Sighting], *, now: datetime) -> list[str]:
    """Where outside and record differ, each in a sentence; empty if all agree.

    A CRL differs rightly while the next one is on its way, and if it has no more need to list what has ended.
    """
    late = [seen for seen in sightings if not _may_be_behind(certificate, seen, now)]
    return [sentence for seen in late for sentence in _differs(certificate, seen, now)]


def awaits_next_crl(certificate: IssuedCertificate, sightings: Sequence[Sighting], *, now: datetime) -> bool:
    """Whether a CRL is without the certificate's last change, and has time still to catch up."""
    behind = [seen for seen in sightings if _may_be_behind(certificate, seen, now)]
    return any(sentence for seen in behind for sentence in _differs(certificate, seen, now))


def _differs(certificate: IssuedCertificate, seen: Sighting, now: datetime) -> Iterator[str]:
    if seen.listed is None:
        return
    revoked = certificate.state in {CertificateState.REVOKED, CertificateState.HELD}
    if revoked and seen.listed is not Listed.REVOKED and now < certificate.not_after:
        said = "the CRL does not list it" if seen.sort is Sort.CRL else f"OCSP says {seen.listed.value}"
        yield f"The record says {certificate.state.value}, and {said}."
    if not revoked and seen.listed is Listed.REVOKED:
        said = "the CRL lists it" if seen.sort is Sort.CRL else "OCSP says revoked"
        yield f"The record says {certificate.state.value}, and {said}."
    if certificate.state is CertificateState.ISSUED and seen.listed is Listed.UNKNOWN and now < certificate.not_after:
        yield "The record says issued, and OCSP does not know the certificate."
    if revoked and seen.listed is Listed.REVOKED and certificate.reason is not None:
        reason, who = seen.reason or "unspecified", "the CRL" if seen.sort is Sort.CRL else "OCSP"
        if reason != certificate.reason.value:
            yield f"The reason on record is {certificate.reason.value}, and {who} says {reason}."


def _may_be_behind(certificate: IssuedCertificate, seen: Sighting, now: datetime) -> bool:
    """Whether it is a CRL, and the change is so new that it need not show; thisUpdate is backdated, and tells nothing.

    OCSP has no such time: it answers from the record.
    """
    changed = certificate.changed_at
    return seen.sort is Sort.CRL and changed is not None and now - changed <= SHOWS_WITHIN
