"""Findings of issuers' lives: what ends, what has to be rolled over, what can go, what waits to be signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kernel.core.findings import Finding
from kernel.core.journal import Subject
from pki.core.finding_codes import make_finding
from pki.core.freshness import IssuerFreshness, OpenRequest, RequestKind
from pki.core.values import IssuerKind, IssuerState

NOTICE = timedelta(days=90)
"""Time for a rollover with devices that are switched on once a month, and for those above to sign."""
LAST_NOTICE = timedelta(days=30)
"""What is left then is less than a rollover of a whole fleet should take."""
PATIENCE_WITH_SIGNING = timedelta(days=7)
"""A signing request that was carried to an offline issuer comes back within a week, or was forgotten."""

_ROLL_OVER = "Roll it over: a new key signs from then on, and the old one is believed until its last certificate ends."


def find_in_issuer(issuer: IssuerFreshness, *, now: datetime) -> Iterator[Finding]:
    """What is the matter with the life of one issuer."""
    if issuer.state is IssuerState.RETIRED:
        return
    if issuer.is_revoked and issuer.kind is not IssuerKind.TRUSTED:
        if issuer.has_leaves(now):
            detail = "It is revoked, and certificates that it signed have not ended: nobody should believe them."
            remedy = "Give their holders certificates of another issuer, revoke these, and take it out of trust stores."
            yield _of(issuer, "issuer-revoked-with-leaves", detail, remedy)
        return
    if issuer.kind is not IssuerKind.TRUSTED and issuer.state is IssuerState.SUPERSEDED:
        yield from _of_superseded(issuer, now=now)
        return
    yield from _of_its_end(issuer, now=now)


def _of_superseded(issuer: IssuerFreshness, *, now: datetime) -> Iterator[Finding]:
    if not issuer.has_leaves(now):
        detail = f"It was rolled over to {issuer.successor or 'another'}, and nothing that it signed is good any more."
        yield _of(issuer, "issuer-can-be-retired", detail, "Retire it: then nobody trusts its key any longer.")


def _of_its_end(issuer: IssuerFreshness, *, now: datetime) -> Iterator[Finding]:
    left, end = issuer.not_after - now, f"{issuer.not_after:%Y-%m-%d %H:%M} UTC"
    remedy = _ROLL_OVER
    if issuer.kind is IssuerKind.TRUSTED:
        remedy = "Ask whose it is for its new certificate, and import that as another trusted issuer."
    if left <= timedelta(0):
        detail = f"It ended at {end}: nobody believes what it signed."
        yield _of(issuer, "issuer-ended", detail, f"{remedy} Then retire this one.", since=issuer.not_after)
    elif left <= LAST_NOTICE:
        yield _of(issuer, "issuer-ends-in-30-days", f"It ends at {end}.", remedy, since=issuer.not_after - LAST_NOTICE)
    elif left <= NOTICE:
        yield _of(issuer, "issuer-ends-in-90-days", f"It ends at {end}.", remedy, since=issuer.not_after - NOTICE)
    elif left < issuer.leaf_validity and issuer.kind is not IssuerKind.TRUSTED:
        detail = (
            f"It ends at {end}, sooner than the {issuer.leaf_validity.days} days that its certificates are meant to "
            "last: each is shorter than the one before."
        )
        since = issuer.not_after - issuer.leaf_validity
        yield _of(issuer, "issuer-shortens-leaves", detail, _ROLL_OVER, since=since)


def find_in_request(request: OpenRequest, *, now: datetime) -> Finding:
    """That something waits to be signed elsewhere."""
    waits = now - request.created_at > PATIENCE_WITH_SIGNING
    kind = "pki.issuer_request" if request.kind is RequestKind.ISSUER else "pki.signing_request"
    what = "a CA elsewhere" if request.kind is RequestKind.ISSUER else f"the offline issuer {request.slug}"
    return make_finding(
        "signing-request-waits" if waits else "signing-request-open",
        subject=Subject(kind=kind, id=request.id, label=request.slug),
        domain=request.domain,
        detail=f"{request.purpose} waits to be signed by {what}.",
        remedy="Sign the request where the key is and import what comes back, or withdraw the request.",
        since=request.created_at,
    )


def _of(issuer: IssuerFreshness, code: str, detail: str, remedy: str, *, since: datetime | None = None) -> Finding:
    return make_finding(
        code,
        subject=Subject(kind="pki.issuer", id=str(issuer.id), label=issuer.slug),
        domain=issuer.domain,
        detail=detail,
        remedy=remedy,
        since=since,
    )
