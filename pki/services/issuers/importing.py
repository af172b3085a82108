"""Taking over a CA that was made elsewhere: with its key, as one that signs offline, or only to believe it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from kernel.core.actor import Actor
from kernel.core.errors import Invalid
from kernel.core.ids import DomainId, new_id
from pki.core.ca_files import CaFile, der_of, read_certificate, read_certificates, read_crls, read_key, read_pkcs12
from pki.core.csr import spki_sha256
from pki.core.earlier_crl import EarlierRevocations, merge_crls
from pki.core.key_kinds import algorithm_of, kind_of
from pki.core.paths import check_ca, is_same_key
from pki.core.values import CertificateState, Custody, IssuerId, IssuerKind, KeyAlgorithm, serial_hex
from pki.core.values import Issuer as IssuerValue
from pki.models import Certificate, Issuer
from pki.queries import find_issuer
from pki.services.custody import custody as keys
from pki.services.fresh_keys import kept_if_used
from pki.services.issue_certificate import KeyInUse
from pki.services.issuers.beginning import begin_work
from pki.services.issuers.chains import IssuerKnown, WrongKey, checked_chain, row_above
from pki.services.issuers.earlier_revocations import keep_revocations
from pki.services.issuers.ordering import order_cross_certificate
from pki.services.issuers.storing import (
    NewIssuer,
    check_replaces,
    check_shards,
    check_slug,
    is_key_free,
    one_slug,
    store_issuer,
)


class NoKeyOfOurs(Invalid):
    """The CA's key is of a sort that no issuer here has."""

    code = "issuer-key-algorithm"


def import_issuer(
    *,
    domain: DomainId,
    slug: str,
    certificate: bytes = b"",
    chain: bytes = b"",
    key: bytes = b"",
    pkcs12: bytes = b"",
    passphrase: str = "",
    crl: bytes = b"",
    custody: Custody = Custody.ENCRYPTED,
    crl_shards: int = 0,
    replaces: IssuerId | None = None,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """An online issuer of a CA made elsewhere, with what it revoked before. Not to be called in a transaction.

    Either `pkcs12`, or `certificate` and `key`, in PEM or DER; `chain` is the CAs above it in any order, `crl` its
    last CRLs. Our next CRL lists what they list, under a higher number. `replaces` is the issuer that it succeeds.
    Raises BadSlug, SlugTaken, BadShards, NotActive, UnreadableKey, UnreadableCertificate, UnreadableCrl, WrongKey,
    NoKeyOfOurs, NotACa, NotInTime, BrokenChain, WeakKey, UnfitCrl, IssuerKnown, IssuerGone, KeyInUse.
    """
    check_slug(slug)
    check_shards(crl_shards)
    check_replaces(replaces, domain=domain)
    taken = _read(certificate, key, pkcs12, passphrase)
    _check_own(taken.certificate)
    if not is_same_key(taken.key.public_key(), taken.certificate.public_key()):
        raise WrongKey("The private key is not the one of the certificate: bring the key that belongs to it.")
    line = checked_chain(taken.certificate, [*taken.others, *read_certificates(chain)], domain=domain, now=now)
    earlier = merge_crls(read_crls(crl), issuer=taken.certificate)
    _check_free(taken.certificate, slug=slug)
    key_id = keys.adopt(taken.key, custody=custody)
    with kept_if_used(key_id), one_slug(slug):
        new = NewIssuer(
            domain=domain,
            slug=slug,
            certificate=taken.certificate,
            parent=row_above(line, domain=domain, slug=slug, actor=actor, now=now),
            key=key_id,
            crl_shards=crl_shards,
            replaces=replaces,
        )
        row = _store(new, earlier, actor=actor, now=now)
    begin_work(row, now=now)
    return find_issuer(id=IssuerId(row.id))


def import_offline_issuer(
    *,
    domain: DomainId,
    slug: str,
    certificate: bytes,
    chain: bytes = b"",
    crl: bytes = b"",
    replaces: IssuerId | None = None,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """An issuer whose key stays elsewhere: what it has to sign goes there by files. Not to be called in a transaction.

    Its first CRL and OCSP signer are ordered at once. `replaces` is an offline issuer that it succeeds; if both are
    roots, the certificates of each for the other are ordered too (RFC 9810 4.4). Raises what `import_issuer` does
    but for what is about its key.
    """
    check_slug(slug)
    check_replaces(replaces, domain=domain)
    own = read_certificate(certificate)
    _check_own(own)
    line = checked_chain(own, read_certificates(chain), domain=domain, now=now)
    earlier = merge_crls(read_crls(crl), issuer=own)
    _check_free(own, slug=slug)
    with one_slug(slug):
        new = NewIssuer(
            domain=domain,
            slug=slug,
            certificate=own,
            parent=row_above(line, domain=domain, slug=slug, actor=actor, now=now),
            kind=IssuerKind.OFFLINE,
            replaces=replaces,
        )
        row = _store(new, earlier, actor=actor, now=now)
    begin_work(row, now=now)
    if replaces is not None and row.parent is None:
        _order_links(replaces, IssuerId(row.id), actor=actor, now=now)
    return find_issuer(id=IssuerId(row.id))


def _order_links(old: IssuerId, new: IssuerId, *, actor: Actor, now: datetime) -> None:
    for issuer, signer in ((new, old), (old, new)):
        if find_issuer(id=signer).kind is IssuerKind.OFFLINE and find_issuer(id=old).parent is None:
            order_cross_certificate(issuer=issuer, signer=signer, actor=actor, now=now)


def trust_issuer(*, domain: DomainId, slug: str, certificate: bytes, actor: Actor, now: datetime) -> IssuerValue:
    """A CA that is only believed, such as the one of a manufacturer's IDevIDs: never in the trust bundle by itself.

    It need not be a root. Raises BadSlug, SlugTaken, UnreadableCertificate, NotACa, NotInTime, WeakKey, IssuerKnown.
    """
    check_slug(slug)
    own = read_certificate(certificate)
    check_ca(own, now=now)
    if Issuer.objects.filter(domain_id=domain, der=der_of(own)).exists():
        raise IssuerKnown("The domain has this CA already: show it with `manage.py issuer list`.")
    new = NewIssuer(domain=domain, slug=slug, certificate=own, parent=None, kind=IssuerKind.TRUSTED)
    with one_slug(slug):
        row = store_issuer(new, actor=actor, now=now, action="pki.issuer.trusted")
    return find_issuer(id=IssuerId(row.id))


def _read(certificate: bytes, key: bytes, pkcs12: bytes, passphrase: str) -> CaFile:
    if pkcs12:
        return read_pkcs12(pkcs12, passphrase)
    found: Sequence[x509.Certificate] = read_certificates(certificate)
    if not found:
        raise Invalid("Give a certificate and its private key, or a PKCS#12 file with both.", code="issuer-incomplete")
    return CaFile(certificate=found[0], key=read_key(key, passphrase), others=tuple(found[1:]))


def _check_own(certificate: x509.Certificate) -> None:
    if algorithm_of(certificate.public_key()) is None:
        sorts = ", ".join(KeyAlgorithm)
        raise NoKeyOfOurs(f"An issuer's key is one of {sorts}, and this is {kind_of(certificate.public_key())}.")


def _check_free(certificate: x509.Certificate, *, slug: str) -> None:
    """Ahead of the key's adoption, so that no key is kept for nothing; what decides is `own_key`."""
    if not is_key_free(spki_sha256(certificate.public_key()), slug=slug):
        raise KeyInUse("This key belongs to another issuer, device or service already.")


def _store(new: NewIssuer, earlier: EarlierRevocations, *, actor: Actor, now: datetime) -> Issuer:
    """The issuer with what it revoked, and its own certificate as one of the CA above, if that is ours."""
    row = store_issuer(new, actor=actor, now=now, action="pki.issuer.imported")
    keep_revocations(row, earlier, now=now)
    if new.parent is not None and new.parent.kind != IssuerKind.TRUSTED:
        keep_certificate(new.parent, new.certificate, slug=new.slug, now=now)
    return row


def keep_certificate(parent: Issuer, certificate: x509.Certificate, *, slug: str, now: datetime) -> None:
    """The certificate of a CA that an issuer of ours signed elsewhere, so that it can be revoked. Idempotent."""
    der = der_of(certificate)
    Certificate.objects.get_or_create(
        issuer=parent,
        serial=serial_hex(certificate.serial_number),
        defaults={
            "id": new_id(),
            "domain_id": parent.domain_id,
            "holder": f"issuer:{slug}",
            "profile": "imported",
            "state": CertificateState.ISSUED,
            "subject": certificate.subject.rfc4514_string()[:255],
            "public_key_sha256": spki_sha256(certificate.public_key()),
            "der": der,
            "fingerprint": hashlib.sha256(der).hexdigest(),
            "not_before": certificate.not_valid_before_utc,
            "not_after": certificate.not_valid_after_utc,
            "requested_at": now,
        },
    )
