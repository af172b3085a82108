"""Cross-certificates: another CA, of ours or elsewhere, certifies the name and key of an issuer."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from cryptography import x509
from django.db import IntegrityError, transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId, new_id
from pki.core.ca_certificates import NamedKey
from pki.core.ca_files import der_of, read_certificate
from pki.core.ca_requests import build_ca_request
from pki.core.issuer_values import CrossCertificate as CrossCertificateValue
from pki.core.key_ids import key_id_of
from pki.core.paths import check_ca, is_same_key, is_signed_by, path_length_below, path_length_of
from pki.core.pem import encode_pem
from pki.core.values import IssuerId, IssuerKind
from pki.models import CrossCertificate, Issuer
from pki.queries.issuer_requests import cross_value
from pki.queries.issuers import ISSUERS, UnknownIssuer, is_gone, is_issuer_revoked
from pki.queries.profiles import find_profile
from pki.services.custody import signing_key
from pki.services.issuers.certifying import Draft, draft_for_ca, sign_draft
from pki.services.issuers.chains import WrongKey
from pki.services.issuers.levels import EndOfPath
from pki.services.issuers.storing import record_about
from pki.services.signers import NotIssuing


class CrossSignsItself(Invalid):
    """A CA does not certify itself across."""

    code = "cross-signs-itself"


class OtherKeyIdentifier(Invalid):
    """The cross-certificate calls the key something else than the issuer's certificates do."""

    code = "cross-certificate-key-id"


class CrossKnown(Conflict):
    """That cross-certificate is here already."""

    code = "cross-certificate-known"


def cross_sign(
    *, issuer: IssuerId, signer: IssuerId, validity: timedelta | None = None, actor: Actor, now: datetime
) -> CrossCertificateValue:
    """A certificate for the name and key of `issuer` by `signer`, an online issuer of ours.

    It ends with whichever of the two ends first, or after `validity`. Not to be called in a transaction. Raises
    UnknownIssuer, NotIssuing, CrossSignsItself, EndOfPath, IssuerEnded, KeyElsewhere (order it instead).
    """
    subject, above = cross_pair(issuer=issuer, signer=signer)
    signing_key(above)
    row = sign_draft(draft_cross(subject, above, validity=validity, now=now), above, actor=actor, now=now)
    assert row.der is not None
    with transaction.atomic():
        return cross_value(store_cross(subject, above, bytes(row.der), certificate=row.id, actor=actor, now=now))


def cross_request(*, issuer: IssuerId) -> str:
    """PEM of a PKCS#10 request for the issuer's own name and key, for a CA elsewhere. Raises KeyElsewhere."""
    row = _row(issuer)
    own = x509.load_der_x509_certificate(bytes(row.der))
    csr = build_ca_request(own.subject, signing_key(row), path_length=path_length_of(own), key_id=key_id_of(own))
    return encode_pem("CERTIFICATE REQUEST", csr)


def import_cross_certificate(
    *, issuer: IssuerId, certificate: bytes, actor: Actor, now: datetime
) -> CrossCertificateValue:
    """Keeps a certificate that a CA elsewhere signed for the issuer's name and key.

    Raises UnknownIssuer, UnreadableCertificate, WrongKey, NotACa, OtherKeyIdentifier, NotInTime, WeakKey,
    CrossKnown.
    """
    row = _row(issuer)
    own, cross = x509.load_der_x509_certificate(bytes(row.der)), read_certificate(certificate)
    if cross.subject != own.subject or not is_same_key(cross.public_key(), own.public_key()):
        raise WrongKey(f"The certificate is not for the name and key of {row.slug}: have its own request signed.")
    if cross.issuer == cross.subject or der_of(cross) == bytes(row.der):
        raise CrossSignsItself("This is the issuer's own certificate, and no other CA's.")
    if key_id_of(cross) != key_id_of(own):
        raise OtherKeyIdentifier(
            "The CA gave another subject key identifier than the one in the request, so that nobody would find the "
            f"way over it from what {row.slug} signs: have the request's own copied."
        )
    check_ca(cross, now=now)
    ours = ISSUERS.filter(domain_id=row.domain_id).order_by("id")
    signer = next((s for s in ours if is_signed_by(cross, x509.load_der_x509_certificate(bytes(s.der)))), None)
    try:
        with transaction.atomic():
            return cross_value(store_cross(row, signer, der_of(cross), certificate=None, actor=actor, now=now))
    except IntegrityError as error:
        raise CrossKnown("That cross-certificate is here already.") from error


def cross_pair(*, issuer: IssuerId, signer: IssuerId) -> tuple[Issuer, Issuer]:
    """The rows of who is certified and who signs. Raises UnknownIssuer, NotIssuing, CrossSignsItself, EndOfPath."""
    subject, above = _row(issuer), _row(signer)
    if subject.id == above.id:
        raise CrossSignsItself(f"{subject.slug} does not certify itself across: name another issuer.")
    if above.kind == IssuerKind.TRUSTED or is_gone(above) or is_gone(subject) or is_issuer_revoked(above):
        raise NotIssuing(
            f"Neither {above.slug} nor {subject.slug} may be retired, revoked or on hold, and the first signs here."
        )
    line = [above]
    while line[-1].parent is not None:
        line.append(line[-1].parent)
    left = path_length_below([x509.load_der_x509_certificate(bytes(row.der)) for row in line])
    if left == 0:
        raise EndOfPath(f"The issuer {above.slug} may have no CA below it: choose its root.")
    return subject, above


def draft_cross(subject: Issuer, above: Issuer, *, validity: timedelta | None, now: datetime) -> Draft:
    """The cross-certificate unsigned; its path length is the CA's own, or less if `above` allows less."""
    own, signer = (x509.load_der_x509_certificate(bytes(row.der)) for row in (subject, above))
    allowed = path_length_of(signer)
    lengths = [
        length for length in (path_length_of(own), None if allowed is None else allowed - 1) if length is not None
    ]
    profile = replace(
        find_profile(domain=DomainId(above.domain_id), name="issuing-ca"), path_length=min(lengths) if lengths else None
    )
    return draft_for_ca(
        above,
        subject=NamedKey(name=own.subject, public_key=own.public_key(), key_id=key_id_of(own)),
        profile=profile,
        not_after=min(subject.not_after, now + validity) if validity else subject.not_after,
        holder=f"issuer:{subject.slug}",
        now=now,
    )


def store_cross(
    subject: Issuer, above: Issuer | None, der: bytes, *, certificate: UUID | None, actor: Actor, now: datetime
) -> CrossCertificate:
    """The row, in the caller's transaction."""
    parsed = x509.load_der_x509_certificate(der)
    row = CrossCertificate.objects.create(
        id=new_id(),
        issuer=subject,
        signer=above,
        certificate_id=certificate,
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
    )
    facts = {"slug": subject.slug, "signer": above.slug if above else parsed.issuer.rfc4514_string()[:255]}
    record_about(
        subject, "pki.issuer.cross_certified", actor=actor, now=now, after={**facts, "fingerprint": row.fingerprint}
    )
    return row


def _row(issuer: IssuerId) -> Issuer:
    row = ISSUERS.filter(id=issuer).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    return row
