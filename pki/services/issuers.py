"""Making issuers: a root, and issuing CAs below it."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import IntegrityError, transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core import certificates, lint
from pki.core.certificates import Names
from pki.core.csr import facts_of
from pki.core.profiles import get_profile
from pki.core.values import Issuer as IssuerValue
from pki.core.values import IssuerId, KeyAlgorithm, KeyId, serial_hex
from pki.models import Issuer
from pki.queries import UnknownIssuer, find_issuer
from pki.services.custody import custody
from pki.services.issue_certificate import check_signed, issue_for_key, throw_away_key
from pki.services.ocsp_signers import ensure_ocsp_signer
from pki.services.publish_crl import publish_crl

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SLUG_CHARACTERS = 50


class BadSlug(Invalid):
    """The slug can not stand in URLs."""

    code = "issuer-slug"


class SlugTaken(Conflict):
    """Another issuer has that slug."""

    code = "issuer-slug-taken"


class EndOfPath(Conflict):
    """The issuer above may have no CA below it."""

    code = "issuer-path-length"


def create_root(
    *,
    domain: DomainId,
    slug: str,
    common_name: str,
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """A new self-signed root with its first CRL and OCSP signer. Not to be called in a transaction.

    Raises BadSlug, SlugTaken, BadName.
    """
    _check_slug(slug)
    key_id, key = custody.generate(key_algorithm)
    profile = get_profile("root")
    not_before, not_after = certificates.validity(profile, now=now, ends_by=None)
    builder = certificates.build(
        profile=profile,
        names=Names(variables={"common_name": common_name}),
        authority=None,
        public_key=key.public_key(),
        serial=certificates.new_serial(),
        not_before=not_before,
        not_after=not_after,
    )
    linted = certificates.sign(builder, throw_away_key(key_algorithm))
    lint.check(linted, profile=profile, authority=None)
    certificate = certificates.sign(builder, key)
    check_signed(certificate, linted=linted, issuer=certificate)
    return _store(
        certificate,
        id=new_id(),
        domain=domain,
        parent=None,
        slug=slug,
        key=key_id,
        key_algorithm=key_algorithm,
        actor=actor,
        now=now,
    )


def create_issuing_ca(
    *,
    parent: IssuerId,
    slug: str,
    common_name: str,
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """A new CA below `parent` with its first CRL and OCSP signer. Not to be called in a transaction.

    Its certificate is one of the parent's, held by `issuer:<slug>`. Raises UnknownIssuer, IssuerEnded, EndOfPath,
    BadSlug, SlugTaken, BadName.
    """
    _check_slug(slug)
    above = _issuer_above(parent)
    key_id, key = custody.generate(key_algorithm)
    row = issue_for_key(
        issuer=above,
        profile=get_profile("issuing-ca"),
        facts=facts_of(key.public_key()),
        names=Names(variables={"common_name": common_name}),
        holder=f"issuer:{slug}",
        actor=actor,
        now=now,
    )
    assert row.der is not None
    certificate = x509.load_der_x509_certificate(bytes(row.der))
    domain = DomainId(above.domain_id)
    return _store(
        certificate,
        id=new_id(),
        domain=domain,
        parent=above,
        slug=slug,
        key=key_id,
        key_algorithm=key_algorithm,
        actor=actor,
        now=now,
    )


def _check_slug(slug: str) -> None:
    if len(slug) > _SLUG_CHARACTERS or not _SLUG.fullmatch(slug):
        raise BadSlug(f"{slug[:80]!r} can not name an issuer: 1 to {_SLUG_CHARACTERS} of a-z, 0-9 and single hyphens.")
    if Issuer.objects.filter(slug=slug).exists():
        raise SlugTaken(f"There is an issuer {slug!r} already: choose another slug.")


def _issuer_above(parent: IssuerId) -> Issuer:
    above = Issuer.objects.select_related("parent").filter(id=parent).first()
    if above is None:
        raise UnknownIssuer("The issuer above does not exist: create a root first.")
    basic = x509.load_der_x509_certificate(bytes(above.der)).extensions.get_extension_for_class(x509.BasicConstraints)
    if basic.value.path_length == 0:
        raise EndOfPath(f"The issuer {above.slug} may have no CA below it: choose the root.")
    return above


def _store(
    certificate: x509.Certificate,
    *,
    id: UUID,
    domain: DomainId,
    parent: Issuer | None,
    slug: str,
    key: KeyId,
    key_algorithm: KeyAlgorithm,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    name = str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    serial = serial_hex(certificate.serial_number)
    try:
        with transaction.atomic():
            Issuer.objects.create(
                id=id,
                domain_id=domain,
                slug=slug,
                name=name,
                parent=parent,
                key_id=key,
                key_algorithm=key_algorithm,
                der=certificate.public_bytes(Encoding.DER),
                serial=serial,
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
            )
            record(
                action="pki.issuer.created",
                subject=Subject(kind="pki.issuer", id=str(id), label=slug),
                actor=actor,
                now=now,
                domain=domain,
                after={"slug": slug, "name": name, "parent": parent.slug if parent else None, "serial": serial},
            )
    except IntegrityError as error:
        raise SlugTaken(f"There is an issuer {slug!r} already: choose another slug.") from error
    publish_crl(issuer=IssuerId(id), now=now)
    ensure_ocsp_signer(issuer=IssuerId(id), now=now)
    return find_issuer(id=IssuerId(id))
