"""Findings of CRLs and OCSP signers: what relying parties ask for has to be there, and in its time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kernel.core.findings import Finding
from kernel.core.journal import Subject
from pki.core.finding_codes import make_finding
from pki.core.freshness import CrlFreshness, IssuerFreshness
from pki.core.values import CrlKind, IssuerKind

AGEING_FROM = 0.9
"""Of a CRL's validity: a rebuild comes each hour of its seven days, so the last tenth means that none did for days."""
DUE_FROM = 2 / 3
"""Of the validity of an offline issuer's CRL: somebody has to fetch its key, which takes days, not minutes."""
ROTATES_AT = 2 / 3
"""Of an OCSP signer's life: its successor is made then."""
ROTATION_PATIENCE = timedelta(hours=1)
"""The task that makes it runs each minute; an hour later it does not run, or fails."""
PUBLISHED_WITHIN = timedelta(minutes=2)
"""A change is in the CRL five seconds later, or a minute if many are revoked at once; later something is wrong."""
CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far a CRL may begin ahead of our clock before relying parties with a right clock refuse it."""

_SHARDS_NAMED = 8
_WORKER = "See that a worker for the queue pki is running, and what its log says."


def find_in_freshness(issuer: IssuerFreshness, *, now: datetime) -> Iterator[Finding]:
    """What is the matter with the CRLs and the OCSP signer of one issuer."""
    if not issuer.is_in_use(now):
        return
    if not any(crl.kind is CrlKind.FULL for crl in issuer.crls):
        yield _of(
            issuer, "crl-missing", "It has no CRL: whoever insists on one refuses its certificates.", _sign(issuer)
        )
    yield from _of_missing_shards(issuer)
    for crl in issuer.crls:
        yield from _of_crl(issuer, crl, now=now)
    if issuer.unpublished_since is not None and now - issuer.unpublished_since > PUBLISHED_WITHIN:
        detail = "Its CRL lacks revocations: whoever reads only CRLs still believes those certificates."
        yield _of(issuer, "crl-lacks-revocations", detail, _sign(issuer), since=issuer.unpublished_since)
    yield from _of_signer(issuer, now=now)


def _of_missing_shards(issuer: IssuerFreshness) -> Iterator[Finding]:
    """One finding for all of them, since there may be a thousand."""
    there = {crl.shard for crl in issuer.crls if crl.kind is CrlKind.SHARD}
    missing = [shard for shard in range(issuer.crl_shards) if shard not in there] if issuer.crl_shards > 1 else []
    if missing:
        which = ", ".join(map(str, missing[:_SHARDS_NAMED]))
        more = f" and {len(missing) - _SHARDS_NAMED} more" if len(missing) > _SHARDS_NAMED else ""
        detail = f"It has no CRL of shard {which}{more}: whoever insists on one refuses the certificates that name it."
        yield _of(issuer, "crl-missing", detail, _sign(issuer), part="shards")


def _of_crl(issuer: IssuerFreshness, crl: CrlFreshness, *, now: datetime) -> Iterator[Finding]:
    part = "" if crl.kind is CrlKind.FULL else crl.name
    life = crl.next_update - crl.this_update
    due = DUE_FROM if issuer.kind is IssuerKind.OFFLINE else AGEING_FROM
    if crl.next_update <= now:
        detail = f"Its {crl.name} is past its next update: whoever insists on one refuses its certificates."
        yield _of(issuer, "crl-overdue", detail, _sign(issuer), part=part, since=crl.next_update)
    elif crl.this_update > now + CLOCK_TOLERANCE:
        detail = f"Its {crl.name} begins at {crl.this_update:%Y-%m-%d %H:%M:%S} UTC: this clock was put back."
        remedy = "Let this machine follow NTP, then publish the CRL again."
        yield _of(issuer, "crl-not-begun", detail, remedy, part=part)
    elif now >= crl.this_update + life * due:
        code = "offline-crl-due" if issuer.kind is IssuerKind.OFFLINE else "crl-ageing"
        detail = f"Its {crl.name} runs out at {crl.next_update:%Y-%m-%d %H:%M} UTC, and no newer one was made."
        yield _of(issuer, code, detail, _sign(issuer), part=part, since=crl.this_update + life * due)


def _of_signer(issuer: IssuerFreshness, *, now: datetime) -> Iterator[Finding]:
    remedy = _WORKER
    if issuer.kind is IssuerKind.OFFLINE:
        remedy = "Export a signing request for its OCSP signer, sign it where the issuer's key is, and import it."
    if issuer.signer is None:
        if issuer.kind is IssuerKind.OFFLINE and not issuer.has_leaves(now):
            return  # nobody asks about what an offline issuer has not signed
        detail = "It has no OCSP signer: whoever asks about its certificates is told to try later."
        yield _of(issuer, "ocsp-signer-missing", detail, remedy)
        return
    life = issuer.signer.not_after - issuer.signer.not_before
    rotates_at = issuer.signer.not_before + life * ROTATES_AT
    if now > rotates_at + min(ROTATION_PATIENCE, life / 10):
        detail = f"Its OCSP signer ends at {issuer.signer.not_after:%Y-%m-%d %H:%M} UTC, and has no successor yet."
        yield _of(issuer, "ocsp-signer-ageing", detail, remedy, since=rotates_at)


def _sign(issuer: IssuerFreshness) -> str:
    if issuer.kind is IssuerKind.OFFLINE:
        return "Export a signing request for its CRL, sign it where the issuer's key is, and import what comes back."
    return f"{_WORKER} `manage.py crl publish {issuer.slug}` makes one by hand."


def _of(
    issuer: IssuerFreshness, code: str, detail: str, remedy: str, *, part: str = "", since: datetime | None = None
) -> Finding:
    id = f"{issuer.id}/{part.replace(' ', '-')}" if part else str(issuer.id)
    return make_finding(
        code,
        subject=Subject(kind="pki.issuer", id=id, label=issuer.slug),
        domain=issuer.domain,
        detail=detail,
        remedy=remedy,
        since=since,
    )
