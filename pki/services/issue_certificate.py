"""Issuing an end entity's certificate, write-ahead: a crash leaves a row to revoke, never an unrecorded certificate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core import certificates, lint
from pki.core.certificates import Names
from pki.core.csr import CsrFacts, WeakKey, inspect_csr
from pki.core.keys import SigningKey, generate_key
from pki.core.profiles import Profile, get_profile
from pki.core.values import (
    CertificateState,
    IssuedCertificate,
    IssuerId,
    KeyAlgorithm,
    serial_hex,
)
from pki.core.weakness import Weakness
from pki.models import Certificate, Issuer, PublicKeyHolder
from pki.services.custody import authority_of, check_in_time, signing_key
from pki.services.signers import signer_for

HOLDER_CHARACTERS = 64


class KeyInUse(Conflict):
    """The public key belongs to somebody else already."""

    code = "key-in-use"


class BadHolder(Invalid):
    """The holder has no name that can be kept."""

    code = "certificate-holder"


class MissignedError(RuntimeError):
    """What came back from signing is not what was linted: the row stays, and is revoked by the sweep."""


def issue_certificate(
    *,
    issuer: IssuerId,
    profile: str,
    csr: bytes,
    holder: str,
    variables: Mapping[str, str],
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    actor: Actor,
    now: datetime,
) -> IssuedCertificate:
    """A certificate for the key of `csr` (PEM or DER). Not to be called in a transaction: it signs between two.

    If the issuer was rolled over, its newest successor signs. Raises UnknownIssuer, NotIssuing, IssuerEnded,
    UnknownProfile, MalformedCsr, BadCsrSignature, WeakKey, BadHolder, KeyInUse, BadName, MissingVariable, LintFailure.
    """
    return issue_for_key(
        issuer=signer_for(issuer),
        profile=get_profile(profile),
        facts=inspect_csr(csr),
        names=Names(variables=variables, dns=tuple(dns_names), ip=tuple(ip_addresses)),
        holder=holder,
        actor=actor,
        now=now,
    ).as_value()


def issue_for_key(
    *, issuer: Issuer, profile: Profile, facts: CsrFacts, names: Names, holder: str, actor: Actor, now: datetime
) -> Certificate:
    """The row of a certificate for a key that was checked. Not to be called in a transaction."""
    check_in_time(issuer, now=now)
    if not 1 <= len(holder) <= HOLDER_CHARACTERS or not holder.isprintable():
        raise BadHolder(f"A holder is named by 1 to {HOLDER_CHARACTERS} printable characters, such as service:billing.")
    authority = authority_of(issuer)
    not_before, not_after = certificates.validity(profile, now=now, ends_by=issuer.not_after)
    builder = certificates.build(
        profile=profile,
        names=names,
        authority=authority,
        public_key=facts.public_key,
        serial=certificates.new_serial(),
        not_before=not_before,
        not_after=not_after,
    )
    linted = certificates.sign(builder, throw_away_key(KeyAlgorithm(issuer.key_algorithm)))
    lint.check(linted, profile=profile, authority=authority)
    row = _row(
        linted,
        issuer=issuer,
        profile=profile,
        subject=f"CN={profile.subject(names.variables)}",
        public_key_sha256=facts.public_key_sha256,
        holder=holder,
        now=now,
    )
    with transaction.atomic():
        _bind_key(facts.public_key_sha256, holder)
        row.save(force_insert=True)
    certificate = certificates.sign(builder, signing_key(issuer))
    check_signed(certificate, linted=linted, issuer=x509.load_der_x509_certificate(bytes(issuer.der)))
    _store(row, certificate, actor=actor, now=now)
    return row


_throw_away: dict[KeyAlgorithm, SigningKey] = {}


def throw_away_key(algorithm: KeyAlgorithm) -> SigningKey:
    """A key that signs nothing but what is linted and thrown away; made once a process."""
    if algorithm not in _throw_away:
        _throw_away[algorithm] = generate_key(algorithm)
    return _throw_away[algorithm]


def check_signed(certificate: x509.Certificate, *, linted: x509.Certificate, issuer: x509.Certificate) -> None:
    """Reads it back: to the octet what was linted, and by the issuer's key. Raises MissignedError."""
    parsed = x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER))
    if parsed.tbs_certificate_bytes != linted.tbs_certificate_bytes:
        raise MissignedError("something else was signed than was linted")
    try:
        parsed.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise MissignedError("the issuer's certificate does not verify what its key signed") from error


def _row(
    linted: x509.Certificate,
    *,
    issuer: Issuer,
    profile: Profile,
    subject: str,
    public_key_sha256: str,
    holder: str,
    now: datetime,
) -> Certificate:
    """What is written down before the issuer's key signs."""
    return Certificate(
        id=new_id(),
        domain_id=issuer.domain_id,
        issuer=issuer,
        serial=serial_hex(linted.serial_number),
        holder=holder,
        profile=profile.name,
        state=CertificateState.REQUESTED,
        subject=subject,
        public_key_sha256=public_key_sha256,
        not_before=linted.not_valid_before_utc,
        not_after=linted.not_valid_after_utc,
        requested_at=now,
    )


def _bind_key(public_key_sha256: str, holder: str) -> None:
    bound, _ = PublicKeyHolder.objects.get_or_create(public_key_sha256=public_key_sha256, defaults={"holder": holder})
    if bound.holder != holder:
        raise KeyInUse("This public key belongs to another holder already: make a new key, one for each device.")
    if bound.weakness:
        raise WeakKey(
            f"The key is known to be weak: {Weakness.parse(bound.weakness).words}. Make a new one, elsewhere."
        )


def _store(row: Certificate, certificate: x509.Certificate, *, actor: Actor, now: datetime) -> None:
    row.der = certificate.public_bytes(Encoding.DER)
    row.fingerprint = hashlib.sha256(row.der).hexdigest()
    row.state = CertificateState.ISSUED
    with transaction.atomic():
        stored = Certificate.objects.filter(id=row.id, state=CertificateState.REQUESTED).update(
            der=row.der, fingerprint=row.fingerprint, state=row.state
        )
        if not stored:
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
