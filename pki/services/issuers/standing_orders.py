"""What an offline issuer has to sign again and again: its CRLs and the certificates of its OCSP signers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from django.db import transaction
from django.db.models import Max

from kernel.core.actor import SYSTEM
from kernel.core.ids import DomainId
from pki.core.certificates import Names
from pki.core.crl import BACKDATED, CrlFacts, build_crl
from pki.core.csr import CsrFacts, facts_of
from pki.core.issuer_values import SigningKind
from pki.core.issuer_values import SigningRequest as SigningRequestValue
from pki.core.key_ids import key_id_of
from pki.core.values import CrlKind, Custody, IssuerId, KeyAlgorithm, KeyId
from pki.models import Certificate, Crl, Issuer, OcspSigner, SigningRequest
from pki.queries.issuer_requests import signing_request_value
from pki.queries.profiles import find_profile
from pki.services.custody import check_in_time
from pki.services.custody import custody as keys
from pki.services.fresh_keys import kept_if_used
from pki.services.issue_certificate import throw_away_key
from pki.services.issuers.certifying import draft_for_key
from pki.services.issuers.orders import offline, order_certificate, store_order
from pki.services.ocsp_signers import remove_ended_signers

CRL_VALID_FOR = timedelta(days=180)
CRL_DUE_AFTER = timedelta(days=90)
OCSP_SIGNER_VALID_FOR = timedelta(days=365)


def order_ocsp_signer(*, issuer: IssuerId, now: datetime) -> SigningRequestValue | None:
    """What the offline issuer has to sign so that its OCSP answers go on; None if that is far off, or ordered already.

    Those that have ended are removed, with their keys. Not to be called in a transaction.
    """
    row = offline(Issuer.objects.select_related("parent").get(id=issuer))
    remove_ended_signers(issuer=issuer, now=now)
    newest = OcspSigner.objects.filter(issuer=row).select_related("certificate").order_by("-pk").first()
    if newest and newest.certificate.state == "issued":
        life = newest.certificate.not_after - newest.certificate.not_before
        if newest.certificate.not_after - now > life / 3:
            return None
    if SigningRequest.objects.filter(issuer=row, key__isnull=False, closed_at=None).exists():
        return None
    key_id, key = keys.generate(_signer_algorithm(row), custody=Custody.ENCRYPTED)
    with kept_if_used(key_id):
        made = _order_signer(row, facts_of(key.public_key()), key_id, now=now)
    return signing_request_value(made)


def _order_signer(issuer: Issuer, facts: CsrFacts, key: KeyId, *, now: datetime) -> SigningRequest:
    profile = find_profile(domain=DomainId(issuer.domain_id), name="ocsp-signer")
    draft = draft_for_key(
        issuer,
        profile=replace(profile, validity=OCSP_SIGNER_VALID_FOR),
        facts=facts,
        names=Names(variables={"common_name": f"{issuer.name[:50]} OCSP"}),
        holder=f"ocsp:{issuer.slug}",
        now=now,
    )
    purpose = "the certificate of its OCSP signer"
    with transaction.atomic():
        return order_certificate(issuer, draft, purpose=purpose, key=key, actor=SYSTEM, now=now)


def order_crl(*, issuer: IssuerId, now: datetime, force: bool = False) -> SigningRequestValue | None:
    """What the offline issuer has to sign as its next CRL; None if the newest will do.

    One is due when something was revoked since, or after 90 of its 180 days. One that is ordered already is given
    back, or, if it lacks a revocation, replaced: its file is of no use then.
    """
    found = offline(Issuer.objects.get(id=issuer))
    check_in_time(found, now=now)
    throw_away_key(KeyAlgorithm(found.key_algorithm))  # ahead of the lock: an RSA key takes seconds to be made
    with transaction.atomic():
        row = Issuer.objects.select_for_update(no_key=True).get(id=issuer)
        newest = Crl.objects.filter(issuer=row, kind=CrlKind.FULL).order_by("-number").first()
        waiting = SigningRequest.objects.filter(issuer=row, kind=SigningKind.CRL, closed_at=None)
        fresh = waiting.filter(revision=row.revision, created_at__gt=now - CRL_DUE_AFTER).first()
        is_due = newest is None or newest.revision < row.revision or newest.this_update <= now - CRL_DUE_AFTER
        if fresh is None and not (is_due or force):
            return None
        if fresh is None:
            waiting.update(closed_at=now)
            fresh = _order_crl(row, newest, now=now)
        return signing_request_value(fresh)


def _order_crl(issuer: Issuer, newest: Crl | None, *, now: datetime) -> SigningRequest:
    """Everything that is revoked, under the next number that no order had."""
    certificate = x509.load_der_x509_certificate(bytes(issuer.der))
    ordered = SigningRequest.objects.filter(issuer=issuer, kind=SigningKind.CRL).aggregate(last=Max("number"))["last"]
    still_valid_at = min(newest.this_update, now) if newest else issuer.not_before
    listed = Certificate.objects.listed(issuer=IssuerId(issuer.id), still_valid_at=still_valid_at).order_by("id")
    facts = CrlFacts(
        issuer_name=certificate.subject.public_bytes(),
        key_id=key_id_of(certificate),
        number=max(issuer.crl_number, ordered or 0) + 1,
        this_update=(now - BACKDATED).replace(microsecond=0),
        next_update=min(now + CRL_VALID_FOR, issuer.not_after).replace(microsecond=0),
    )
    entries = [bytes(entry) for entry in listed.values_list("crl_entry", flat=True) if entry]
    sample = build_crl(facts, entries=entries, key=throw_away_key(KeyAlgorithm(issuer.key_algorithm)))
    return store_order(
        SigningRequest(
            issuer=issuer,
            kind=SigningKind.CRL,
            to_be_signed=x509.load_der_x509_crl(sample).tbs_certlist_bytes,
            purpose=f"CRL {facts.number}, which lists {len(entries)}",
            revision=issuer.revision,
            number=facts.number,
        ),
        actor=SYSTEM,
        now=now,
    )


def _signer_algorithm(issuer: Issuer) -> KeyAlgorithm:
    algorithm = KeyAlgorithm(issuer.key_algorithm)
    return KeyAlgorithm.RSA_3072 if algorithm is KeyAlgorithm.RSA_4096 else algorithm
