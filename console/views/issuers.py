"""Issuers: the hierarchy, how long each is valid, and whether its CRL and OCSP signer are fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from console.findings import open_findings
from console.views.frame import Visit, screen, show
from kernel.core.clock import utc_now
from kernel.core.findings import Finding
from kernel.core.ids import DomainId
from pki import queries
from pki.core.values import CrlStatus, Custody, Issuer, IssuerId, IssuerKind, IssuerState, serial_hex
from pki.queries.certificates import APPROXIMATE_FROM
from pki.queries.issuance_counts import count_good

_OVER = frozenset({IssuerState.RETIRED, IssuerState.REVOKED})
_CUSTODY = {
    Custody.ENCRYPTED: "encrypted under the master key",
    Custody.FILE: "in a file, encrypted under the master key",
    Custody.PKCS11: "in a hardware security module (PKCS#11)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRow:
    """An issuer in the hierarchy, `depth` levels below a root. `good` is how many of its certificates are, in words."""

    issuer: Issuer
    depth: int
    crl: CrlStatus | None
    crl_due: bool
    ocsp_ends_at: datetime | None
    serial: str
    parent_slug: str
    successor_slug: str
    predecessor_slug: str
    custody: str
    good: str
    findings: tuple[Finding, ...]

    @property
    def over(self) -> bool:
        """Whether nobody trusts it any more, however long its certificate would be valid."""
        return self.issuer.state in _OVER

    @property
    def ours(self) -> bool:
        """Whether it publishes CRLs and answers OCSP here."""
        return self.issuer.kind is not IssuerKind.TRUSTED


def issuer_rows(domain: DomainId, *, with_findings: bool = False) -> list[IssuerRow]:
    """The issuers of a domain, each below the one that signed it."""
    issuers = queries.list_issuers(domains=[domain])
    known = {issuer.id: issuer for issuer in issuers}
    below: dict[IssuerId | None, list[Issuer]] = {}
    for issuer in issuers:
        below.setdefault(issuer.parent if issuer.parent in known else None, []).append(issuer)
    crls = queries.crl_statuses(issuers=list(known))
    good = count_good(issuers=list(known), now=utc_now())
    found = _findings(domain) if with_findings else {}
    rows: list[IssuerRow] = []

    def add(parent: IssuerId | None, depth: int) -> None:
        for issuer in below.get(parent, ()):
            crl, matters = crls.get(issuer.id), found.get(str(issuer.id), [])
            rows.append(_row(issuer, depth=depth, known=known, crl=crl, good=good[issuer.id], findings=matters))
            add(issuer.id, depth + 1)

    add(None, 0)
    return rows


def issuer_row(issuer: Issuer, *, domain: Sequence[Issuer]) -> IssuerRow:
    """The issuer with what is published for it; `domain` is every issuer of its domain."""
    known = {each.id: each for each in domain}
    good = count_good(issuers=[issuer.id], now=utc_now())[issuer.id]
    crl, matters = queries.crl_status(issuer=issuer.id), _findings(issuer.domain).get(str(issuer.id), [])
    return _row(issuer, depth=0, known=known, crl=crl, good=good, findings=matters)


def _findings(domain: DomainId) -> dict[str, list[Finding]]:
    """What is the matter with the domain's issuers, by their ids."""
    found: dict[str, list[Finding]] = {}
    for finding in open_findings(domains=[domain], now=utc_now()):
        if finding.subject.kind == "pki.issuer":
            found.setdefault(finding.subject.id, []).append(finding)
    return found


def _row(
    issuer: Issuer,
    *,
    depth: int,
    known: Mapping[IssuerId, Issuer],
    crl: CrlStatus | None,
    good: int,
    findings: Sequence[Finding],
) -> IssuerRow:
    return IssuerRow(
        issuer=issuer,
        depth=min(depth, 5),
        crl=crl,
        crl_due=crl is None or crl.is_due,
        ocsp_ends_at=queries.ocsp_signer_ends_at(issuer=issuer.id),
        serial=serial_hex(issuer.serial),
        parent_slug=_slug(known, issuer.parent),
        successor_slug=_slug(known, issuer.successor),
        predecessor_slug=next((each.slug for each in known.values() if each.successor == issuer.id), ""),
        custody=custody_words(issuer),
        findings=tuple(findings),
        good=f"{good:,}" if good < APPROXIMATE_FROM else f"{APPROXIMATE_FROM:,}+",
    )


def _slug(known: Mapping[IssuerId, Issuer], id: IssuerId | None) -> str:
    return known[id].slug if id is not None and id in known else ""


def custody_words(issuer: Issuer) -> str:
    """Where the issuer's key is."""
    match issuer.kind:
        case IssuerKind.OFFLINE:
            return "kept elsewhere; it signs by files"
        case IssuerKind.TRUSTED:
            return "another's"
    found = queries.custody_of(issuer=issuer.id)
    return _CUSTODY[found] if found else "not here"


@require_safe
@screen("issuers:read")
def list_issuers(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The hierarchy, CAs that are yet to be, and what offline issuers have yet to sign."""
    domain = visit.domain.id
    context = {
        "rows": issuer_rows(domain, with_findings=True),
        "requests": queries.list_issuer_requests(domains=[domain]),
        "orders": queries.list_signing_requests(domains=[domain]),
        "may_sign": visit.may("issuers:sign"),
    }
    return show(request, "issuers.html", context)
