"""The files between an offline issuer and here: what it has to sign goes out, what it signed comes in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from django.db import transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, DomainError
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.crl import CrlFacts
from pki.core.crl_lint import check_crl
from pki.core.issuer_values import SigningKind, SigningRequestId
from pki.core.key_ids import key_id_of
from pki.core.signing_file import Order, SigningFile, check_signed, read_signatures, write_orders
from pki.core.values import CrlKind, IssuerId
from pki.models import Certificate, Crl, Issuer, IssuerRequest, OcspSigner, SigningRequest
from pki.queries.issuers import ISSUERS, UnknownIssuer
from pki.services.issuers.beginning import begin_work
from pki.services.issuers.certifying import complete
from pki.services.issuers.cross_signing import store_cross
from pki.services.issuers.requesting import become_issuer
from pki.services.issuers.standing_orders import order_crl, order_ocsp_signer


class StaleSignature(Conflict):
    """What was signed is of no use any more."""

    code = "signature-stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSignature:
    """What became of one signature: `fault` is empty if it is in force."""

    id: SigningRequestId
    purpose: str
    fault: str


def export_signing_requests(*, issuer: IssuerId, now: datetime) -> bytes:
    """The JSON file of all that the offline issuer has to sign, its next CRL and OCSP signer with it if they are due.

    Not to be called in a transaction. Raises NotOffline.
    """
    order_crl(issuer=issuer, now=now)
    order_ocsp_signer(issuer=issuer, now=now)
    return read_signing_file(issuer=issuer)


def read_signing_file(*, issuer: IssuerId) -> bytes:
    """The same of what is ordered already; nothing is."""
    row = _row(issuer)
    waiting = SigningRequest.objects.filter(issuer=row, closed_at=None).order_by("id")
    certificate = x509.load_der_x509_certificate(bytes(row.der))
    return write_orders(SigningFile(issuer=certificate, slug=row.slug, orders=tuple(map(_order_of, waiting))))


def import_signatures(*, issuer: IssuerId, file: bytes, actor: Actor, now: datetime) -> list[ImportedSignature]:
    """What became of each signature of the file: CAs come into being, OCSP signers and CRLs into force. Idempotent.

    Each is by itself: what is stale or wrong is told, and keeps no other from its place. Not to be called in a
    transaction. Raises MalformedSigningFile, UnknownIssuer.
    """
    row = _row(issuer)
    found = read_signatures(file)
    outcomes, begun = [], []
    for id, octets in sorted(found.items()):
        purpose, fault = f"request {id}", ""
        try:
            with transaction.atomic():
                waiting = _waiting(row, SigningRequestId(id))
                purpose = waiting.purpose
                if waiting.closed_at is None:
                    begun += _take(waiting, octets, actor=actor, now=now)
                elif not _is_in_force(waiting, octets):
                    raise StaleSignature("It was cancelled, or replaced by a newer one: export the requests again.")
        except DomainError as error:
            fault = error.detail
        outcomes.append(ImportedSignature(id=SigningRequestId(id), purpose=purpose, fault=fault))
    for fresh in begun:
        begin_work(fresh, now=now)
    return outcomes


def _row(issuer: IssuerId) -> Issuer:
    row = ISSUERS.filter(id=issuer).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    return row


def _waiting(issuer: Issuer, id: SigningRequestId) -> SigningRequest:
    row = SigningRequest.objects.select_for_update(of=("self",)).filter(id=id, issuer=issuer).first()
    if row is None:
        raise StaleSignature(f"{issuer.slug} was never asked to sign this: is the file for another issuer?")
    row.issuer = issuer
    return row


def _order_of(row: SigningRequest) -> Order:
    return Order(id=row.id, kind=SigningKind(row.kind), purpose=row.purpose, to_be_signed=bytes(row.to_be_signed))


def _is_in_force(row: SigningRequest, octets: bytes) -> bool:
    if row.certificate_id:
        return Certificate.objects.filter(id=row.certificate_id, der=octets).exists()
    return Crl.objects.filter(issuer=row.issuer, number=row.number or 0).exists()


def _take(waiting: SigningRequest, octets: bytes, *, actor: Actor, now: datetime) -> list[Issuer]:
    """Puts the signature in force, in the caller's transaction; the issuers that come into being by it."""
    issuer = x509.load_der_x509_certificate(bytes(waiting.issuer.der))
    check_signed(_order_of(waiting), octets, issuer=issuer)
    waiting.closed_at = now
    waiting.save(update_fields=["closed_at"])
    record(
        action="pki.signing_request.signed",
        subject=Subject(kind="pki.signing_request", id=str(waiting.id), label=waiting.issuer.slug),
        actor=actor,
        now=now,
        domain=DomainId(waiting.issuer.domain_id),
        after={"issuer_slug": waiting.issuer.slug, "kind": waiting.kind, "purpose": waiting.purpose},
    )
    if waiting.kind == SigningKind.CRL:
        _publish(waiting, octets, actor=actor, now=now)
        return []
    return _certify(waiting, octets, actor=actor, now=now)


def _certify(waiting: SigningRequest, octets: bytes, *, actor: Actor, now: datetime) -> list[Issuer]:
    certificate = x509.load_der_x509_certificate(octets)
    if certificate.not_valid_after_utc <= now:
        raise StaleSignature("The certificate has ended before it came: cancel the request, and make another.")
    assert waiting.certificate_id is not None
    row = Certificate.objects.select_for_update(of=("self",)).get(id=waiting.certificate_id)
    row.issuer = waiting.issuer
    complete(row, certificate, actor=actor, now=now)
    if waiting.key_id:
        OcspSigner.objects.create(issuer=waiting.issuer, key_id=waiting.key_id, certificate=row)
        return []
    if waiting.becomes_id:
        becomes = IssuerRequest.objects.get(id=waiting.becomes_id)
        return [become_issuer(becomes, certificate, above=waiting.issuer, actor=actor, now=now)]
    subject = ISSUERS.get(slug=row.holder.removeprefix("issuer:"))
    store_cross(subject, waiting.issuer, octets, certificate=row.id, actor=actor, now=now)
    return []


def _publish(waiting: SigningRequest, octets: bytes, *, actor: Actor, now: datetime) -> None:
    """The CRL as the newest; numbers rise. Raises StaleSignature, CrlLintFailure."""
    crl = x509.load_der_x509_crl(octets)
    number, ends = waiting.number or 0, crl.next_update_utc
    if ends is None or ends <= now:
        raise StaleSignature("The CRL has ended before it came: export a newer one.")
    _check(crl, octets, number=number, issuer=waiting.issuer)
    older = Issuer.objects.filter(id=waiting.issuer_id, crl_number__lt=number)
    if not older.update(crl_number=number):
        raise StaleSignature("A newer CRL is published already.")
    Crl.objects.create(
        issuer=waiting.issuer,
        kind=CrlKind.FULL,
        number=number,
        revision=waiting.revision or 0,
        der=octets,
        entries=len(crl),
        this_update=crl.last_update_utc,
        next_update=ends,
    )
    Crl.objects.filter(issuer=waiting.issuer, number__lt=number).delete()
    record(
        action="pki.crl.published",
        subject=Subject(kind="pki.issuer", id=str(waiting.issuer_id), label=waiting.issuer.slug),
        actor=actor,
        now=now,
        domain=DomainId(waiting.issuer.domain_id),
        after={"issuer_slug": waiting.issuer.slug, "number": number, "entries": len(crl)},
    )


def _check(crl: x509.CertificateRevocationList, octets: bytes, *, number: int, issuer: Issuer) -> None:
    """As those that are signed here; its times and its length are those of the order. Raises CrlLintFailure."""
    certificate = x509.load_der_x509_certificate(bytes(issuer.der))
    assert crl.next_update_utc is not None
    facts = CrlFacts(
        issuer_name=certificate.subject.public_bytes(),
        key_id=key_id_of(certificate),
        number=number,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
    )
    check_crl(octets, facts=facts, entries=len(crl), issuer=certificate.public_key())
