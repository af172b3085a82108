"""A CA of ours that one elsewhere certifies: its request goes out, its certificate comes in."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from django.db import transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.ca_files import read_certificates
from pki.core.ca_requests import build_ca_request, ca_name
from pki.core.csr import spki_sha256
from pki.core.issuer_values import IssuerRequest as IssuerRequestValue
from pki.core.paths import is_same_key
from pki.core.values import Custody, IssuerId, IssuerKind, KeyAlgorithm, KeyId
from pki.core.values import Issuer as IssuerValue
from pki.models import Issuer, IssuerRequest, SigningRequest
from pki.queries import find_issuer
from pki.queries.issuer_requests import UnknownIssuerRequest, issuer_request_value
from pki.services.custody import custody as keys
from pki.services.fresh_keys import kept_if_used
from pki.services.issuers.beginning import begin_work
from pki.services.issuers.chains import WrongKey, checked_chain, row_above
from pki.services.issuers.importing import keep_certificate
from pki.services.issuers.storing import (
    NewIssuer,
    check_replaces,
    check_shards,
    check_slug,
    one_slug,
    own_key,
    store_issuer,
)


class RequestAtWork(Conflict):
    """The request waits for an offline issuer of ours."""

    code = "issuer-request-ordered"


def request_issuer(
    *,
    domain: DomainId,
    slug: str,
    common_name: str,
    organization: str = "",
    organizational_unit: str = "",
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
    custody: Custody = Custody.ENCRYPTED,
    crl_shards: int = 0,
    path_length: int | None = 0,
    replaces: IssuerId | None = None,
    actor: Actor,
    now: datetime,
) -> IssuerRequestValue:
    """A fresh key and the request for it, to be signed by a CA elsewhere. Not to be called in a transaction.

    Raises BadSlug, SlugTaken, BadShards, NotActive, BadName.
    """
    check_slug(slug)
    check_shards(crl_shards)
    check_replaces(replaces, domain=domain)
    name = ca_name(common_name, organization=organization, organizational_unit=organizational_unit)
    key_id, key = keys.generate(key_algorithm, custody=custody)
    with kept_if_used(key_id):
        csr = build_ca_request(name, key, path_length=path_length)
        with one_slug(slug):
            own_key(spki_sha256(key.public_key()), slug=slug)
            row = IssuerRequest.objects.create(
                id=new_id(),
                domain_id=domain,
                slug=slug,
                name=common_name,
                key_id=key_id,
                csr=csr,
                crl_shards=crl_shards,
                replaces_id=replaces,
                created_at=now,
            )
            _record(row, "pki.issuer_request.created", actor=actor, now=now)
    return issuer_request_value(IssuerRequest.objects.select_related("key", "replaces").get(id=row.id))


def install_issuer(
    *,
    slug: str,
    certificate: bytes,
    chain: bytes = b"",
    domains: Collection[DomainId] | None = None,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """The issuer that the request `slug` becomes with the certificate that a CA elsewhere signed.

    `certificate` may be followed by those above it in the same PEM. Not to be called in a transaction. Raises
    UnknownIssuerRequest, RequestAtWork, UnreadableCertificate, WrongKey, NotACa, NotInTime, BrokenChain, WeakKey.
    """
    waiting = waiting_request(slug, domains=domains)
    found = read_certificates(certificate)
    if not found or not is_same_key(found[0].public_key(), _key_of(waiting)):
        raise WrongKey("The certificate is for another key: send this request's own, ahead of the CAs above it.")
    if SigningRequest.objects.filter(becomes=waiting, closed_at=None).exists():
        raise RequestAtWork("An offline issuer of yours signs this request: import the file that it signed.")
    domain = DomainId(waiting.domain_id)
    line = checked_chain(found[0], [*found[1:], *read_certificates(chain)], domain=domain, now=now)
    with transaction.atomic():
        above = row_above(line, domain=domain, slug=slug, actor=actor, now=now)
        row = become_issuer(waiting, found[0], above=above, actor=actor, now=now)
        if above is not None and above.kind != IssuerKind.TRUSTED:
            keep_certificate(above, found[0], slug=slug, now=now)
    begin_work(row, now=now)
    return find_issuer(id=IssuerId(row.id))


def cancel_issuer_request(
    *, slug: str, domains: Collection[DomainId] | None = None, actor: Actor, now: datetime
) -> None:
    """Gives the request up with its key; the slug is free again. Not to be called in a transaction.

    Raises UnknownIssuerRequest, RequestAtWork.
    """
    with transaction.atomic():
        waiting = waiting_request(slug, domains=domains)
        if SigningRequest.objects.filter(becomes=waiting, closed_at=None).exists():
            raise RequestAtWork("An offline issuer is asked to sign it: cancel the signing request first.")
        _take_away(waiting)
        _record(waiting, "pki.issuer_request.cancelled", actor=actor, now=now)
    keys.destroy(KeyId(waiting.key_id))


def become_issuer(
    waiting: IssuerRequest, certificate: x509.Certificate, *, above: Issuer | None, actor: Actor, now: datetime
) -> Issuer:
    """The issuer in the request's place, in the caller's transaction. Raises UnknownIssuerRequest if it is gone."""
    _take_away(waiting)
    new = NewIssuer(
        domain=DomainId(waiting.domain_id),
        slug=waiting.slug,
        certificate=certificate,
        parent=above,
        key=KeyId(waiting.key_id),
        crl_shards=waiting.crl_shards,
        replaces=waiting.replaces_id,
    )
    return store_issuer(new, actor=actor, now=now, action="pki.issuer.installed")


def waiting_request(slug: str, *, domains: Collection[DomainId] | None = None) -> IssuerRequest:
    """The row of the request. Raises UnknownIssuerRequest."""
    rows = IssuerRequest.objects.select_related("key", "replaces").filter(slug=slug)
    row = rows.first() if domains is None else rows.filter(domain_id__in=domains).first()
    if row is None:
        raise UnknownIssuerRequest(f"There is no request of an issuer {slug[:64]!r}: make one first.")
    return row


def _take_away(waiting: IssuerRequest) -> None:
    """For one of those at it, in the caller's transaction. Raises UnknownIssuerRequest if another was first."""
    if not IssuerRequest.objects.filter(id=waiting.id).delete()[0]:
        raise UnknownIssuerRequest("The request was carried out, or given up, a moment ago.")


def _key_of(waiting: IssuerRequest) -> PublicKeyTypes:
    return x509.load_der_x509_csr(bytes(waiting.csr)).public_key()


def _record(row: IssuerRequest, action: str, *, actor: Actor, now: datetime) -> None:
    record(
        action=action,
        subject=Subject(kind="pki.issuer_request", id=str(row.id), label=row.slug),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after={"slug": row.slug, "name": row.name},
    )
