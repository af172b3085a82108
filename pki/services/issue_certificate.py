"""Issuing an end entity's certificate, write-ahead: a crash leaves a row to revoke, never an unrecorded certificate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import transaction

from kernel.core.actor import SYSTEM, Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core import certificates, lint
from pki.core.certificates import Names
from pki.core.csr import CsrFacts, inspect_csr
from pki.core.keys import generate_key
from pki.core.profiles import Profile, get_profile
from pki.core.values import (
    CertificateId,
    CertificateState,
    IssuedCertificate,
    IssuerId,
    KeyAlgorithm,
    ReasonCode,
    serial_hex,
)
from pki.models import Certificate, Issuer, PublicKeyHolder
from pki.services.custody import authority_of, signing_key
from pki.services.revoke_certificate import revoke_row

UNSIGNED_FOR = timedelta(minutes=10)


class KeyInUse(Conflict):
    """The public key belongs to somebody else already."""

    code = "key-in-use"


class IssuerEnded(Conflict):
    """The issuer is no longer valid."""

    code = "issuer-ended"


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

    Raises MalformedCsr, BadCsrSignature, WeakKey, KeyInUse, BadName, MissingVariable, LintFailure.
    """
    kind = get_profile(profile)
    facts = inspect_csr(csr)
    names = Names(variables=variables, dns=tuple(dns_names), ip=tuple(ip_addresses))
    return issue_for_key(
        issuer=Issuer.objects.select_related("key", "parent").get(id=issuer),
        profile=kind,
        facts=facts,
        names=names,
        holder=holder,
        actor=actor,
        now=now,
    ).as_value()


def issue_for_key(
    *, issuer: Issuer, profile: Profile, facts: CsrFacts, names: Names, holder: str, actor: Actor, now: datetime
) -> Certificate:
    """The row of a certificate for a key that was checked."""
    if issuer.not_after <= now:
        raise IssuerEnded(f"The issuer {issuer.slug} has ended: issue from a newer one.")
    authority = authority_of(issuer)
    not_before, not_after = certificates.validity(profile, now=now, ends_by=issuer.not_after)
    serial = certificates.new_serial()
    builder = certificates.build(
        profile=profile,
        names=names,
        authority=authority,
        public_key=facts.public_key,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
    )
    lint.check(certificates.sign(builder, _throw_away_key(issuer)), profile=profile, authority=authority)
    row = Certificate(
        id=new_id(),
        domain_id=issuer.domain_id,
        issuer=issuer,
        serial=serial_hex(serial),
        holder=holder,
        profile=profile.name,
        state=CertificateState.REQUESTED,
        subject=f"CN={profile.subject(names.variables)}",
        public_key_sha256=facts.public_key_sha256,
        not_before=not_before,
        not_after=not_after,
        requested_at=now,
    )
    with transaction.atomic():
        _bind_key(facts.public_key_sha256, holder)
        row.save(force_insert=True)
    certificate = certificates.sign(builder, signing_key(issuer))
    _verify(certificate, issuer)
    _store(row, certificate, actor=actor, now=now)
    return row


_throw_away: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey] = {}


def _throw_away_key(issuer: Issuer) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    """A key of the issuer's kind that signs nothing but what is linted and thrown away; made once a process."""
    if issuer.key.algorithm not in _throw_away:
        _throw_away[issuer.key.algorithm] = generate_key(KeyAlgorithm(issuer.key.algorithm))
    return _throw_away[issuer.key.algorithm]


def _bind_key(public_key_sha256: str, holder: str) -> None:
    bound, _ = PublicKeyHolder.objects.get_or_create(public_key_sha256=public_key_sha256, defaults={"holder": holder})
    if bound.holder != holder:
        raise KeyInUse("This public key belongs to another holder already: make a new key, one for each device.")


def _verify(certificate: x509.Certificate, issuer: Issuer) -> None:
    parsed = x509.load_der_x509_certificate(certificate.public_bytes(Encoding.DER))
    parsed.verify_directly_issued_by(x509.load_der_x509_certificate(bytes(issuer.der)))


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


def abandon_unsigned(*, now: datetime) -> list[CertificateId]:
    """Revokes what was requested long ago and never stored: it may have been signed before a crash."""
    found = Certificate.objects.filter(state=CertificateState.REQUESTED, requested_at__lt=now - UNSIGNED_FOR)
    abandoned = []
    for each in found.values_list("id", flat=True):
        with transaction.atomic():
            row = Certificate.objects.select_for_update().select_related("issuer").get(id=each)
            if row.state == CertificateState.REQUESTED:
                revoke_row(row, reason=ReasonCode.SUPERSEDED, actor=SYSTEM, now=now, note="never stored after signing")
                abandoned.append(CertificateId(row.id))
    return abandoned
