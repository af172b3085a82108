"""What an offline issuer has to sign, written ahead as signing requests: CAs below it, its OCSP signers, its CRLs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from cryptography import x509
from django.db import transaction
from django.db.models import Max

from kernel.core.actor import SYSTEM, Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.ca_requests import build_ca_request, ca_name
from pki.core.certificates import Names
from pki.core.crl import BACKDATED, CrlFacts, build_crl
from pki.core.csr import facts_of
from pki.core.issuer_values import SigningKind
from pki.core.issuer_values import SigningRequest as SigningRequestValue
from pki.core.key_ids import key_id_of
from pki.core.values import CrlKind, Custody, IssuerId, IssuerKind, KeyAlgorithm, KeyId
from pki.models import Certificate, Crl, Issuer, IssuerRequest, OcspSigner, SigningRequest
from pki.queries.issuer_requests import UnknownSigningRequest, signing_request_value
from pki.queries.profiles import find_profile
from pki.services.custody import check_in_time
from pki.services.custody import custody as keys
from pki.services.issue_certificate import throw_away_key
from pki.services.issuers.certifying import Draft, draft_for_key
from pki.services.issuers.cross_signing import cross_pair, draft_cross
from pki.services.issuers.levels import ca_profile, issuer_above
from pki.services.issuers.storing import check_shards, check_slug, kept_if_used, one_slug, own_key

CRL_VALID_FOR = timedelta(days=180)
CRL_DUE_AFTER = timedelta(days=90)
OCSP_SIGNER_VALID_FOR = timedelta(days=365)


class NotOffline(Conflict):
    """The issuer signs here, or is another's."""

    code = "issuer-not-offline"


def order_issuing_ca(
    *,
    parent: IssuerId,
    slug: str,
    common_name: str,
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
    custody: Custody = Custody.ENCRYPTED,
    crl_shards: int = 0,
    validity: timedelta | None = None,
    path_length: int = 0,
    replaces: IssuerId | None = None,
    actor: Actor,
    now: datetime,
) -> SigningRequestValue:
    """What the offline issuer `parent` has to sign so that there is a CA below it; `import_signatures` makes it.

    Its key is here already. Not to be called in a transaction. Raises NotOffline and what `create_issuing_ca` does.
    """
    check_slug(slug)
    check_shards(crl_shards)
    above = _offline(issuer_above(parent, path_length=path_length, now=now))
    profile = ca_profile(above, validity, path_length=path_length, now=now)
    key_id, key = keys.generate(key_algorithm, custody=custody)
    facts, names = facts_of(key.public_key()), Names(variables={"common_name": common_name})
    draft = draft_for_key(above, profile=profile, facts=facts, names=names, holder=f"issuer:{slug}", now=now)
    with kept_if_used(key_id), one_slug(slug):
        own_key(facts.public_key_sha256, slug=slug)
        waiting = IssuerRequest.objects.create(
            id=new_id(),
            domain_id=above.domain_id,
            slug=slug,
            name=common_name,
            key_id=key_id,
            csr=build_ca_request(ca_name(common_name), key, path_length=path_length),
            crl_shards=crl_shards,
            replaces_id=replaces,
            created_at=now,
        )
        purpose = f"the certificate of the CA {slug}"
        row = _order_certificate(above, draft, purpose=purpose, becomes=waiting, actor=actor, now=now)
    return signing_request_value(row)


def order_cross_certificate(
    *, issuer: IssuerId, signer: IssuerId, validity: timedelta | None = None, actor: Actor, now: datetime
) -> SigningRequestValue:
    """What the offline issuer `signer` has to sign so that `issuer` has a cross-certificate. Raises as `cross_sign`."""
    subject, above = cross_pair(issuer=issuer, signer=signer)
    draft = draft_cross(subject, _offline(above), validity=validity, now=now)
    purpose = f"a cross-certificate for {subject.slug}"
    with transaction.atomic():
        return signing_request_value(_order_certificate(above, draft, purpose=purpose, actor=actor, now=now))


def order_ocsp_signer(*, issuer: IssuerId, now: datetime) -> SigningRequestValue | None:
    """What the offline issuer has to sign so that its OCSP answers go on; None if that is far off, or ordered already.

    Not to be called in a transaction.
    """
    row = _offline(Issuer.objects.select_related("parent").get(id=issuer))
    newest = OcspSigner.objects.filter(issuer=row).select_related("certificate").order_by("-pk").first()
    if newest and newest.certificate.state == "issued":
        life = newest.certificate.not_after - newest.certificate.not_before
        if newest.certificate.not_after - now > life / 3:
            return None
    if SigningRequest.objects.filter(issuer=row, key__isnull=False, closed_at=None).exists():
        return None
    key_id, key = keys.generate(_signer_algorithm(row), custody=Custody.ENCRYPTED)
    draft = draft_for_key(
        row,
        profile=replace(
            find_profile(domain=DomainId(row.domain_id), name="ocsp-signer"), validity=OCSP_SIGNER_VALID_FOR
        ),
        facts=facts_of(key.public_key()),
        names=Names(variables={"common_name": f"{row.name[:50]} OCSP"}),
        holder=f"ocsp:{row.slug}",
        now=now,
    )
    with transaction.atomic():
        purpose = "the certificate of its OCSP signer"
        made = _order_certificate(row, draft, purpose=purpose, key=key_id, actor=SYSTEM, now=now)
    return signing_request_value(made)


def order_crl(*, issuer: IssuerId, now: datetime, force: bool = False) -> SigningRequestValue | None:
    """What the offline issuer has to sign as its next CRL; None if the newest will do.

    One is due when something was revoked since, or after 90 of its 180 days. One that is ordered already is given
    back, or, if it lacks a revocation, replaced: its file is of no use then.
    """
    check_in_time(_offline(Issuer.objects.get(id=issuer)), now=now)
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


def cancel_signing_request(*, id: UUID, actor: Actor, now: datetime) -> None:
    """Gives the request up with the key that it was for; the clock revokes the certificate, in case it was signed.

    Not to be called in a transaction. Raises UnknownSigningRequest.
    """
    with transaction.atomic():
        rows = SigningRequest.objects.select_for_update(of=("self",)).select_related("issuer", "becomes")
        row = rows.filter(id=id, closed_at=None).first()
        if row is None:
            raise UnknownSigningRequest("There is no such signing request that is open still.")
        key = row.becomes.key_id if row.becomes else row.key_id
        row.closed_at, row.key = now, None
        row.save(update_fields=["closed_at", "key"])
        if row.becomes:
            row.becomes.delete()
        _record(row, "pki.signing_request.cancelled", actor=actor, now=now)
    if key:
        keys.destroy(KeyId(key))


def _offline(row: Issuer) -> Issuer:
    if row.kind != IssuerKind.OFFLINE:
        raise NotOffline(f"The issuer {row.slug} is {row.kind}: only what is offline signs by files.")
    return row


def _order_certificate(
    signer: Issuer,
    draft: Draft,
    *,
    purpose: str,
    becomes: IssuerRequest | None = None,
    key: KeyId | None = None,
    actor: Actor,
    now: datetime,
) -> SigningRequest:
    draft.row.save(force_insert=True)
    return _order(
        SigningRequest(
            issuer=signer,
            kind=SigningKind.CERTIFICATE,
            to_be_signed=draft.linted.tbs_certificate_bytes,
            purpose=purpose,
            certificate=draft.row,
            becomes=becomes,
            key_id=key,
        ),
        actor=actor,
        now=now,
    )


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
    return _order(
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


def _order(row: SigningRequest, *, actor: Actor, now: datetime) -> SigningRequest:
    row.id, row.created_at = new_id(), now
    row.save(force_insert=True)
    _record(row, "pki.signing_request.created", actor=actor, now=now)
    return row


def _record(row: SigningRequest, action: str, *, actor: Actor, now: datetime) -> None:
    record(
        action=action,
        subject=Subject(kind="pki.signing_request", id=str(row.id), label=row.issuer.slug),
        actor=actor,
        now=now,
        domain=DomainId(row.issuer.domain_id),
        after={"issuer_slug": row.issuer.slug, "kind": row.kind, "purpose": row.purpose},
    )


def _signer_algorithm(issuer: Issuer) -> KeyAlgorithm:
    algorithm = KeyAlgorithm(issuer.key_algorithm)
    return KeyAlgorithm.RSA_3072 if algorithm is KeyAlgorithm.RSA_4096 else algorithm
