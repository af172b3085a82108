"""Building and storing an issuer's CRL; the bytes that are served are made here and nowhere else."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from django.db import transaction
from django.db.models import F

from kernel.core.actor import SYSTEM
from kernel.core.errors import Unavailable
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.crl import CrlFacts, build_crl
from pki.core.keys import key_identifier
from pki.core.values import CrlKind, IssuerId, PublishedCrl
from pki.models import Certificate, Crl, Issuer
from pki.services.custody import check_in_time, signing_key

VALID_FOR = timedelta(days=7)
REBUILD_AFTER = timedelta(hours=1)
_ATTEMPTS = 8


class Overtaken(Unavailable):
    """Other builders were faster each time."""

    code = "crl-overtaken"


def publish_crl(*, issuer: IssuerId, now: datetime, force: bool = False) -> PublishedCrl:
    """The newest CRL: built now if there are revocations it lacks, if it is an hour old, or if `force` says so.

    It covers every revocation committed before the call. Not to be called in a transaction. A CRL is stored only as
    the follower of the one that was the newest when its entries were read; else it is thrown away and built again,
    so that numbers rise and none lists less than the one before. Raises IssuerEnded, Overtaken.
    """
    for _ in range(_ATTEMPTS):
        row = Issuer.objects.get(id=issuer)
        newest = Crl.objects.filter(issuer_id=issuer, kind=CrlKind.FULL, number=row.crl_number).first()
        if newest and not force and newest.revision >= row.revision and newest.this_update > now - REBUILD_AFTER:
            return newest.as_value()
        check_in_time(row, now=now)
        built = _build(row, previous=newest, now=now)
        if _store(built, issuer=row, now=now):
            return built.as_value()
        force = False  # somebody else has just built one
    raise Overtaken(f"The CRL of {row.slug} is being built by others: ask again.")


def _build(issuer: Issuer, *, previous: Crl | None, now: datetime) -> Crl:
    """The next CRL, signed and read back. What has ended stays until one CRL after its end lists it (5280 3.3)."""
    still_valid_at = min(previous.this_update, now) if previous else issuer.not_before
    found = Certificate.objects.listed(issuer=IssuerId(issuer.id), still_valid_at=still_valid_at).order_by("id")
    entries = [bytes(entry) for entry in found.values_list("crl_entry", flat=True).iterator(5000) if entry]
    certificate = x509.load_der_x509_certificate(bytes(issuer.der))
    facts = CrlFacts(
        issuer_name=certificate.subject.public_bytes(),
        key_id=key_identifier(certificate.public_key()),
        number=issuer.crl_number + 1,
        this_update=now.replace(microsecond=0),
        next_update=min(now + VALID_FOR, issuer.not_after).replace(microsecond=0),
    )
    der = build_crl(facts, entries=b"".join(entries), key=signing_key(issuer))
    _verify(der, certificate, facts=facts, entries=len(entries))
    return Crl(
        issuer=issuer,
        number=facts.number,
        revision=issuer.revision,
        der=der,
        entries=len(entries),
        this_update=facts.this_update,
        next_update=facts.next_update,
    )


def _verify(der: bytes, certificate: x509.Certificate, *, facts: CrlFacts, entries: int) -> None:
    crl = x509.load_der_x509_crl(der)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    if not crl.is_signature_valid(certificate.public_key()) or number != facts.number or len(crl) != entries:  # type: ignore[arg-type]
        raise RuntimeError("a CRL that does not read back as it was built")


def _store(built: Crl, *, issuer: Issuer, now: datetime) -> bool:
    """Whether it follows the newest still, and is the newest now."""
    with transaction.atomic():
        follows = Issuer.objects.filter(id=issuer.id, crl_number=built.number - 1)
        if not follows.update(crl_number=F("crl_number") + 1):
            return False
        built.save(force_insert=True)
        Crl.objects.filter(issuer=issuer, number__lt=built.number - 2).delete()
        record(
            action="pki.crl.published",
            subject=Subject(kind="pki.issuer", id=str(issuer.id), label=issuer.slug),
            actor=SYSTEM,
            now=now,
            domain=DomainId(issuer.domain_id),
            after={"issuer_slug": issuer.slug, "number": built.number, "entries": built.entries},
        )
    return True
