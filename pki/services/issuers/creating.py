"""Making issuers here: a root, and CAs below one."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509

from kernel.core.actor import Actor
from kernel.core.ids import DomainId
from pki.core.certificates import Names
from pki.core.csr import facts_of
from pki.core.roots import make_root
from pki.core.values import Custody, IssuerId, KeyAlgorithm
from pki.core.values import Issuer as IssuerValue
from pki.queries import find_issuer
from pki.services.custody import custody as keys
from pki.services.custody import signing_key
from pki.services.fresh_keys import kept_if_used
from pki.services.issue_certificate import issue_for_key, throw_away_key
from pki.services.issuers.beginning import begin_work
from pki.services.issuers.levels import ca_profile, issuer_above, lasting
from pki.services.issuers.storing import NewIssuer, check_shards, check_slug, one_slug, store_issuer


def create_root(
    *,
    domain: DomainId,
    slug: str,
    common_name: str,
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
    custody: Custody = Custody.ENCRYPTED,
    crl_shards: int = 0,
    validity: timedelta | None = None,
    replaces: IssuerId | None = None,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """A new self-signed root with its first CRL and OCSP signer. Not to be called in a transaction.

    `validity` is a day to 25 years, ten years if None. Raises BadSlug, SlugTaken, BadShards, BadValidity, BadName.
    """
    check_slug(slug)
    check_shards(crl_shards)
    profile = lasting("root", validity, domain=domain)
    key_id, key = keys.generate(key_algorithm, custody=custody)
    lint_key = throw_away_key(key_algorithm)
    with kept_if_used(key_id):
        new = NewIssuer(
            domain=domain,
            slug=slug,
            certificate=make_root(profile=profile, common_name=common_name, key=key, lint_key=lint_key, now=now),
            parent=None,
            key=key_id,
            crl_shards=crl_shards,
            replaces=replaces,
        )
        with one_slug(slug):
            row = store_issuer(new, actor=actor, now=now)
    begin_work(row, now=now)
    return find_issuer(id=IssuerId(row.id))


def create_issuing_ca(
    *,
    parent: IssuerId,
    slug: str,
    common_name: str,
    key_algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
    custody: Custody = Custody.ENCRYPTED,
    crl_shards: int = 0,
    validity: timedelta | None = None,
    path_length: int | None = None,
    replaces: IssuerId | None = None,
    actor: Actor,
    now: datetime,
) -> IssuerValue:
    """A new CA below `parent` with its first CRL and OCSP signer. Not to be called in a transaction.

    Its certificate is one of the parent's, held by `issuer:<slug>`; `validity` is a day to 15 years and not beyond
    the parent's end, five years (or less) if None; `path_length` is that of the domain's profile `issuing-ca` if None.
    If the parent was rolled over, its successor signs.
    Raises UnknownIssuer, IssuerEnded, NotIssuing, KeyElsewhere (order it instead), EndOfPath, BadSlug, SlugTaken,
    BadShards, BadValidity, BadName.
    """
    check_slug(slug)
    check_shards(crl_shards)
    above = issuer_above(parent, path_length=path_length, now=now)
    profile = ca_profile(above, validity, path_length=path_length, now=now)
    signing_key(above)
    key_id, key = keys.generate(key_algorithm, custody=custody)
    with kept_if_used(key_id):
        row = issue_for_key(
            issuer=above,
            profile=profile,
            facts=facts_of(key.public_key()),
            names=Names(variables={"common_name": common_name}),
            holder=f"issuer:{slug}",
            actor=actor,
            now=now,
        )
        assert row.der is not None
        new = NewIssuer(
            domain=DomainId(above.domain_id),
            slug=slug,
            certificate=x509.load_der_x509_certificate(bytes(row.der)),
            parent=above,
            key=key_id,
            crl_shards=crl_shards,
            replaces=replaces,
        )
        with one_slug(slug):
            stored = store_issuer(new, actor=actor, now=now)
    begin_work(stored, now=now)
    return find_issuer(id=IssuerId(stored.id))
