"""Certificates for CAs and OCSP signers, in two halves: by an online issuer at once, by an offline one when it comes.

Write-ahead either way: the row with serial and key stands before anybody signs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core import certificates, lint
from pki.core.ca_certificates import NamedKey, build_for, check_built
from pki.core.ca_files import der_of
from pki.core.certificates import Names
from pki.core.csr import CsrFacts, spki_sha256
from pki.core.key_kinds import kind_of
from pki.core.profile import Profile
from pki.core.values import CertificateState, KeyAlgorithm, serial_hex
from pki.models import Certificate, Issuer
from pki.services import write_ahead
from pki.services.custody import authority_of, check_in_time, signing_key
from pki.services.issue_certificate import throw_away_key


@dataclass(frozen=True, slots=True)
class Draft:
    """A certificate that was linted and lacks its signature, with the row that is written ahead."""

    linted: x509.Certificate
    row: Certificate


def draft_for_key(
    signer: Issuer, *, profile: Profile, facts: CsrFacts, names: Names, holder: str, now: datetime
) -> Draft:
    """A certificate of the profile. Raises IssuerEnded, BadName, LintFailure."""
    check_in_time(signer, now=now)
    authority = authority_of(signer)
    not_before, not_after = certificates.validity(profile, now=now, ends_by=signer.not_after)
    builder = certificates.build(
        profile=profile,
        names=names,
        authority=authority,
        public_key=facts.public_key,
        serial=certificates.new_serial(),
        not_before=not_before,
        not_after=not_after,
    )
    linted = _linted(builder, signer)
    lint.check(linted, profile=profile, authority=authority)
    return Draft(linted, _row(linted, signer=signer, profile=profile, holder=holder, now=now))


def draft_for_ca(
    signer: Issuer, *, subject: NamedKey, profile: Profile, not_after: datetime, holder: str, now: datetime
) -> Draft:
    """A certificate for a CA that is named already, at most to the signer's end. Raises IssuerEnded, LintFailure."""
    check_in_time(signer, now=now)
    authority = authority_of(signer)
    not_before, _ = certificates.validity(profile, now=now, ends_by=signer.not_after)
    ends = min(not_after, signer.not_after).replace(microsecond=0)
    builder = build_for(subject, profile=profile, authority=authority, not_before=not_before, not_after=ends)
    linted = _linted(builder, signer)
    check_built(linted, subject=subject, profile=profile, authority=authority)
    return Draft(linted, _row(linted, signer=signer, profile=profile, holder=holder, now=now))


def sign_draft(draft: Draft, signer: Issuer, *, actor: Actor, now: datetime) -> Certificate:
    """The row of the certificate, signed here. Not to be called in a transaction. Raises KeyElsewhere."""
    certificate = x509.load_der_x509_certificate(bytes(signer.der))
    ahead = write_ahead.Draft(draft.row, draft.linted.tbs_certificate_bytes, certificate)
    faults = write_ahead.sign_drafts([ahead], key=signing_key(signer), actor=actor, now=now)
    for fault in faults.values():
        raise fault
    return draft.row


def complete(row: Certificate, certificate: x509.Certificate, *, actor: Actor, now: datetime) -> None:
    """Stores what was signed, in the caller's transaction. Raises Conflict if the request was given up."""
    row.der, row.state = der_of(certificate), CertificateState.ISSUED
    row.fingerprint = hashlib.sha256(row.der).hexdigest()
    waiting = Certificate.objects.filter(id=row.id, state=CertificateState.REQUESTED)
    if not waiting.update(der=row.der, fingerprint=row.fingerprint, state=row.state):
        raise Conflict("The request was given up while it was signed: ask again.", code="request-abandoned")
    record(
        action="pki.certificate.issued",
        subject=Subject(kind="pki.certificate", id=str(row.id), label=row.serial),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after={
            "issuer": str(row.issuer_id),
            "issuer_slug": row.issuer.slug,
            "serial": row.serial,
            "holder": row.holder,
            "profile": row.profile,
            "not_after": row.not_after.isoformat(),
        },
    )


def _linted(builder: x509.CertificateBuilder, signer: Issuer) -> x509.Certificate:
    return certificates.sign(builder, throw_away_key(KeyAlgorithm(signer.key_algorithm)))


def _row(linted: x509.Certificate, *, signer: Issuer, profile: Profile, holder: str, now: datetime) -> Certificate:
    public_key = linted.public_key()
    return Certificate(
        id=new_id(),
        domain_id=signer.domain_id,
        issuer=signer,
        serial=serial_hex(linted.serial_number),
        holder=holder,
        profile=profile.name,
        profile_version=profile.version,
        state=CertificateState.REQUESTED,
        subject=certificates.subject_text(linted.subject)[:255],
        public_key_sha256=spki_sha256(public_key),
        key_kind=kind_of(public_key),
        not_before=linted.not_valid_before_utc,
        not_after=linted.not_valid_after_utc,
        requested_at=now,
    )
