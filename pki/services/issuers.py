"""Making issuers: a root, and issuing CAs below it."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import IntegrityError, transaction

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, NotFound
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core import certificates, lint
from pki.core.certificates import Names
from pki.core.keys import generate_key
from pki.core.profiles import Profile, get_profile
from pki.core.values import Issuer as IssuerValue
from pki.core.values import IssuerId, KeyAlgorithm, KeyId, serial_hex
from pki.models import Issuer
from pki.services.custody import authority_of, custody, signing_key
from pki.services.ocsp_signers import ensure_ocsp_signer
from pki.services.publish_crl import publish_crl


class SlugTaken(Conflict):
    """Another issuer has that slug."""

    code = "issuer-slug-taken"


class UnknownIssuer(NotFound):
    """There is no such issuer."""

    code = "issuer-unknown"


def create_root(
    *,
    domain: DomainId,
    slug: str,
    common_name: str,
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """A new self-signed root with its first CRL and OCSP signer. Not to be called in a transaction."""
    return _create(
        profile=get_profile("root"),
        domain=domain,
        parent=None,
        slug=slug,
        common_name=common_name,
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
    """A new CA below `parent` with its first CRL and OCSP signer. Not to be called in a transaction."""
    above = Issuer.objects.filter(id=parent).first()
    if above is None:
        raise UnknownIssuer("The issuer above does not exist: create a root first.")
    return _create(
        profile=get_profile("issuing-ca"),
        domain=DomainId(above.domain_id),
        parent=above,
        slug=slug,
        common_name=common_name,
        key_algorithm=key_algorithm,
        actor=actor,
        now=now,
    )


def _create(
    *,
    profile: Profile,
    domain: DomainId,
    parent: Issuer | None,
    slug: str,
    common_name: str,
    key_algorithm: KeyAlgorithm,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    if Issuer.objects.filter(slug=slug).exists():
        raise SlugTaken(f"There is an issuer {slug!r} already: choose another slug.")
    key_id, key = custody.generate(key_algorithm)
    authority = authority_of(parent) if parent else None
    not_before, not_after = certificates.validity(profile, now=now, ends_by=parent.not_after if parent else None)
    builder = certificates.build(
        profile=profile,
        names=Names(variables={"common_name": common_name}),
        authority=authority,
        public_key=key.public_key(),
        serial=certificates.new_serial(),
        not_before=not_before,
        not_after=not_after,
    )
    lint.check(certificates.sign(builder, generate_key(key_algorithm)), profile=profile, authority=authority)
    certificate = certificates.sign(builder, signing_key(parent) if parent else key)
    issuer = _store(certificate, domain=domain, parent=parent, slug=slug, key=key_id, actor=actor, now=now)
    publish_crl(issuer=IssuerId(issuer.id), now=now)
    ensure_ocsp_signer(issuer=IssuerId(issuer.id), now=now)
    return issuer.as_value()


def _store(
    certificate: x509.Certificate,
    *,
    domain: DomainId,
    parent: Issuer | None,
    slug: str,
    key: KeyId,
    actor: Actor,
    now: datetime,
) -> Issuer:
    name = str(certificate.subject.rdns[0].get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    try:
        with transaction.atomic():
            issuer = Issuer.objects.create(
                id=new_id(),
                domain_id=domain,
                slug=slug,
                name=name,
                parent=parent,
                key_id=key,
                der=certificate.public_bytes(Encoding.DER),
                serial=serial_hex(certificate.serial_number),
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
            )
            record(
                action="pki.issuer.created",
                subject=Subject(kind="pki.issuer", id=str(issuer.id), label=slug),
                actor=actor,
                now=now,
                domain=domain,
                after={"slug": slug, "name": name, "parent": parent.slug if parent else None, "serial": issuer.serial},
            )
    except IntegrityError as error:
        raise SlugTaken(f"There is an issuer {slug!r} already: choose another slug.") from error
    return issuer
