"""Building and storing an issuer's CRL; the bytes that are served are made here and nowhere else."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from django.db import transaction
from django.db.models import F

from kernel.core.actor import SYSTEM
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.crl import CrlFacts, build_crl
from pki.core.keys import key_identifier
from pki.core.values import IssuerId, PublishedCrl
from pki.models import Certificate, Crl, Issuer
from pki.services.custody import signing_key

VALID_FOR = timedelta(days=7)
REBUILD_AFTER = timedelta(hours=1)


def publish_crl(*, issuer: IssuerId, now: datetime, force: bool = False) -> PublishedCrl:
    """The newest CRL: built now if there are revocations it lacks, if it is an hour old, or if `force` says so.

    Not to be called in a transaction. Concurrent builders get rising numbers, and the higher number never lists less.
    """
    newest = Crl.objects.filter(issuer_id=issuer).order_by("-number").first()
    row = Issuer.objects.select_related("key").get(id=issuer)
    if newest and not force and newest.revision >= row.revision and newest.this_update > now - REBUILD_AFTER:
        return _value(newest)
    with transaction.atomic():
        Issuer.objects.filter(id=issuer).update(crl_number=F("crl_number") + 1)
        row = Issuer.objects.select_related("key").get(id=issuer)
    still_valid_at = newest.this_update if newest else row.not_before
    found = Certificate.objects.listed(issuer=issuer, still_valid_at=min(still_valid_at, now)).order_by("serial")
    entries = [bytes(entry) for entry in found.values_list("crl_entry", flat=True).iterator(5000) if entry]
    certificate = x509.load_der_x509_certificate(bytes(row.der))
    facts = CrlFacts(
        issuer_name=certificate.subject.public_bytes(),
        key_id=key_identifier(certificate.public_key()),
        number=row.crl_number,
        this_update=now.replace(microsecond=0),
        next_update=min(now + VALID_FOR, row.not_after).replace(microsecond=0),
    )
    der = build_crl(facts, entries=b"".join(entries), key=signing_key(row))
    _verify(der, certificate, facts=facts, entries=len(entries))
    return _value(_store(row, facts, der=der, entries=len(entries), now=now))


def _verify(der: bytes, certificate: x509.Certificate, *, facts: CrlFacts, entries: int) -> None:
    crl = x509.load_der_x509_crl(der)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    if not crl.is_signature_valid(certificate.public_key()) or number != facts.number or len(crl) != entries:  # type: ignore[arg-type]
        raise RuntimeError("a CRL that does not read back as it was built")


def _store(issuer: Issuer, facts: CrlFacts, *, der: bytes, entries: int, now: datetime) -> Crl:
    with transaction.atomic():
        stored = Crl.objects.create(
            issuer=issuer,
            number=facts.number,
            revision=issuer.revision,
            der=der,
            entries=entries,
            this_update=facts.this_update,
            next_update=facts.next_update,
        )
        Crl.objects.filter(issuer=issuer, number__lt=facts.number - 2).delete()
        record(
            action="pki.crl.published",
            subject=Subject(kind="pki.issuer", id=str(issuer.id), label=issuer.slug),
            actor=SYSTEM,
            now=now,
            domain=DomainId(issuer.domain_id),
            after={"issuer_slug": issuer.slug, "number": facts.number, "entries": entries},
        )
    return stored


def _value(row: Crl) -> PublishedCrl:
    return PublishedCrl(
        number=row.number,
        der=bytes(row.der),
        this_update=row.this_update,
        next_update=row.next_update,
        entries=row.entries,
    )
