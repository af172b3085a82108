"""Issuing many certificates at once: each for itself, so that one that is refused stops no other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kernel.core.actor import Actor
from kernel.core.errors import DomainError, Unavailable
from kernel.core.ids import DomainId
from pki.core.certificates import Names
from pki.core.csr import inspect_csr
from pki.core.keys import SigningKey
from pki.core.profile import Profile
from pki.core.values import IssuedCertificate, IssuerId
from pki.models import Issuer
from pki.services.custody import check_in_time, signing_key
from pki.services.draft_certificate import draft_certificate
from pki.services.issue_certificate import profile_to_ask_for
from pki.services.signers import signer_for
from pki.services.write_ahead import Draft, Fault, sign_drafts

log = logging.getLogger(__name__)

CHUNK = 250
"""So many are written in one transaction: it keeps other writers from the journal's end for a tenth of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuanceRequest:
    """What one certificate is asked for with: `issue_certificate` says more."""

    csr: bytes
    holder: str
    variables: Mapping[str, str]
    dns_names: Sequence[str] = ()
    ip_addresses: Sequence[str] = ()
    emails: Sequence[str] = ()
    uris: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why there is no certificate: a stable code, and a sentence. `is_retryable`: the same may do another time."""

    code: str
    detail: str
    is_retryable: bool = False


@dataclass(frozen=True, slots=True)
class _Bench:
    """What is signed with."""

    issuer: Issuer
    profile: Profile
    key: SigningKey


def issue_certificates(
    *, issuer: IssuerId, profile: str, requests: Sequence[IssuanceRequest], actor: Actor, now: datetime
) -> list[IssuedCertificate | Refusal]:
    """For each request, in their order, its certificate, or why there is none. Not to be called in a transaction.

    Each has its own entry in the journal. Raises what concerns all of them: UnknownIssuer, NotIssuing, IssuerEnded,
    KeyElsewhere, UnknownProfile, NotToBeAskedFor.
    """
    signer = signer_for(issuer)
    found = profile_to_ask_for(DomainId(signer.domain_id), profile)
    check_in_time(signer, now=now)
    bench = _Bench(signer, found, signing_key(signer))
    outcomes: list[IssuedCertificate | Refusal] = []
    for start in range(0, len(requests), CHUNK):
        outcomes.extend(_issue_chunk(bench, requests[start : start + CHUNK], actor=actor, now=now))
    return outcomes


def _issue_chunk(
    bench: _Bench, requests: Sequence[IssuanceRequest], *, actor: Actor, now: datetime
) -> Iterator[IssuedCertificate | Refusal]:
    drafts = [_draft(bench, request, now=now) for request in requests]
    good = [draft for draft in drafts if isinstance(draft, Draft)]
    faults = sign_drafts(good, key=bench.key, actor=actor, now=now) if good else {}
    for draft in drafts:
        if isinstance(draft, Refusal):
            yield draft
        elif fault := faults.get(draft.row.id):
            yield _refusal(fault)
        else:
            yield draft.row.as_value()


def _draft(bench: _Bench, request: IssuanceRequest, *, now: datetime) -> Draft | Refusal:
    try:
        facts = inspect_csr(request.csr)
        names = Names(
            variables=request.variables,
            dns=tuple(request.dns_names),
            ip=tuple(request.ip_addresses),
            email=tuple(request.emails),
            uri=tuple(request.uris),
            asked=facts.asked,
        )
        return draft_certificate(
            issuer=bench.issuer,
            profile=bench.profile,
            facts=facts,
            names=names,
            holder=request.holder,
            key=bench.key,
            now=now,
        )
    except DomainError as fault:
        return _refusal(fault)


def _refusal(fault: Fault) -> Refusal:
    if isinstance(fault, DomainError):
        return Refusal(code=fault.code, detail=fault.detail, is_retryable=isinstance(fault, Unavailable))
    log.error("a certificate was not signed as it was linted: %s", fault)
    return Refusal(code="missigned", detail="What came back from signing was something else: look at the worker's log.")
