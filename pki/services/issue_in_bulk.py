"""Issuing for a whole file: it is ordered, and carried out in parts by the workers of the bulk queue.

A worker may die at any instruction: whoever takes its part up again asks the database what was issued already.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from kernel.core.actor import Actor
from kernel.core.errors import DomainError, Invalid, Unavailable
from kernel.core.ids import DomainId, EntryId, new_id
from kernel.core.journal import Entry, Subject
from kernel.services import record
from pki.adapters.issuance_folder import IssuanceFolder, Results
from pki.core.csr import inspect_csr
from pki.core.issuance_rows import IssuanceRow
from pki.core.values import CertificateState, IssuedCertificate, IssuerId
from pki.queries.certificates import CERTIFICATES
from pki.services.custody import check_in_time, signing_key
from pki.services.issue_certificate import profile_to_ask_for
from pki.services.issue_certificates import CHUNK, IssuanceRequest, Refusal, issue_certificates
from pki.services.signers import signer_for

OTHERS_HOLDERS = frozenset({"device", "issuer", "ocsp"})
"""Kinds of holders whose certificates come by enrolment, or with their issuer."""

Outcome = IssuedCertificate | Refusal


class NoRows(Invalid):
    """The file asks for nothing."""

    code = "no-rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkIssuance:
    """What was ordered; `operation` carries it out."""

    id: UUID
    operation: EntryId
    rows: int
    parts: int


def order_issuance(
    *, issuer: IssuerId, profile: str, rows: Iterable[IssuanceRow], actor: Actor, now: datetime
) -> BulkIssuance:
    """The order to issue for every row. Not to be called in a transaction.

    Raises NoRows, BadRow, and what concerns all rows: UnknownIssuer, NotIssuing, IssuerEnded, KeyElsewhere,
    UnknownProfile, NotToBeAskedFor.
    """
    signer = signer_for(issuer)
    domain = DomainId(signer.domain_id)
    profile_to_ask_for(domain, profile)
    check_in_time(signer, now=now)
    signing_key(signer)
    id = new_id()
    count, parts, digest = IssuanceFolder(id).write(_some(rows))
    with transaction.atomic():
        entry = record(
            action="pki.issuance.ordered",
            subject=Subject(kind="pki.issuance", id=str(id), label=f"{count} certificates"),
            actor=actor,
            now=now,
            domain=domain,
            after={
                "issuer": str(issuer),
                "issuer_slug": signer.slug,
                "profile": profile,
                "rows": count,
                "parts": parts,
                "sha256": digest,
            },
        )
    return BulkIssuance(id=id, operation=entry.id, rows=count, parts=parts)


def issue_part(*, order: Entry, part: int, now: datetime) -> str:
    """Issues for what is left of one part of what `order` asks for; says how far it came.

    It may be broken off and begun again at any moment: no row gets a second certificate. Raises PartTaken,
    Unavailable, and what `issue_certificates` does.
    """
    folder = IssuanceFolder(UUID(order.subject.id))
    if folder.is_done(part):
        return "was done"
    rows = folder.read(part)
    with folder.results(part) as results:
        while results.count < len(rows):
            some = rows[results.count : results.count + CHUNK]
            outcomes = _outcomes(some, order, results, now=now)
            results.was_begun = False
            results.add([_line(row, outcome) for row, outcome in zip(some, outcomes, strict=True)])
        folder.finish(part)
    return f"{len(rows)} rows"


def _some(rows: Iterable[IssuanceRow]) -> Iterable[IssuanceRow]:
    """The rows. Raises NoRows at their end if there was none."""
    row = None
    for row in rows:
        yield row
    if row is None:
        raise NoRows("The file has no rows: write one for each certificate.")


def _outcomes(rows: Sequence[IssuanceRow], order: Entry, results: Results, *, now: datetime) -> list[Outcome]:
    known: dict[int, Outcome] = dict(_issued_before(rows, order)) if results.was_begun else {}
    for row in rows:
        if fault := _fault_of(row):
            known[row.number] = fault
    asked = [row for row in rows if row.number not in known]
    found = issue_certificates(
        issuer=IssuerId(UUID(order.after["issuer"])),
        profile=order.after["profile"],
        requests=[_request(row) for row in asked],
        actor=order.actor,
        now=now,
    )
    for row, outcome in zip(asked, found, strict=True):
        if isinstance(outcome, Refusal) and outcome.is_retryable:
            raise Unavailable(outcome.detail, code=outcome.code)
        known[row.number] = outcome
    return [known[row.number] for row in rows]


def _issued_before(rows: Sequence[IssuanceRow], order: Entry) -> Iterable[tuple[int, IssuedCertificate]]:
    """The certificates that an earlier run was given for these rows, and did not come to write down."""
    assert order.domain is not None
    issued = CERTIFICATES.filter(
        domain_id=order.domain,
        holder__in={row.holder for row in rows},
        profile=order.after["profile"],
        state=CertificateState.ISSUED,
        requested_at__gte=order.at,
    )
    waiting: dict[tuple[str, str], list[IssuedCertificate]] = defaultdict(list)
    for each in issued.order_by("-id"):
        waiting[each.holder, each.public_key_sha256].append(each.as_value())
    for row in rows:
        try:
            mine = waiting[row.holder, inspect_csr(row.csr.encode()).public_key_sha256]
        except DomainError:
            continue
        if mine:
            yield row.number, mine.pop()


def _fault_of(row: IssuanceRow) -> Refusal | None:
    if row.fault:
        return Refusal(code="bad-row", detail=row.fault)
    kind = row.holder.partition(":")[0]
    if kind in OTHERS_HOLDERS:
        return Refusal(
            code="certificate-holder",
            detail=f"A certificate of the kind {kind!r} is never issued by hand: enrol the device instead.",
        )
    return None


def _request(row: IssuanceRow) -> IssuanceRequest:
    return IssuanceRequest(
        csr=row.csr.encode(),
        holder=row.holder,
        variables=row.variables,
        dns_names=row.dns,
        ip_addresses=row.ip,
        emails=row.email,
        uris=row.uri,
    )


def _line(row: IssuanceRow, outcome: Outcome) -> str:
    said: dict[str, object] = {"row": row.number, "holder": row.holder}
    if isinstance(outcome, Refusal):
        said |= {"code": outcome.code, "detail": outcome.detail}
    else:
        said |= {
            "id": str(outcome.id),
            "serial_number": outcome.serial_hex,
            "not_after": outcome.not_after.isoformat(),
            "certificate": outcome.pem,
        }
    return json.dumps(said, ensure_ascii=False)
