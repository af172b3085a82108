"""CAs and cross-certificates that an offline issuer has to sign, written ahead as signing requests."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from kernel.core.actor import Actor
from kernel.core.ids import new_id
from pki.core.ca_requests import build_ca_request, ca_name
from pki.core.certificates import Names
from pki.core.csr import facts_of
from pki.core.issuer_values import SigningRequest as SigningRequestValue
from pki.core.values import Custody, IssuerId, KeyAlgorithm
from pki.models import IssuerRequest
from pki.queries.issuer_requests import signing_request_value
from pki.services.custody import custody as keys
from pki.services.fresh_keys import kept_if_used
from pki.services.issuers.certifying import draft_for_key
from pki.services.issuers.cross_signing import cross_pair, draft_cross
from pki.services.issuers.levels import ca_profile, issuer_above
from pki.services.issuers.orders import offline, order_certificate
from pki.services.issuers.storing import check_shards, check_slug, one_slug, own_key


def order_issuing_ca(
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
) -> SigningRequestValue:
    """What the offline issuer `parent` has to sign so that there is a CA below it; `import_signatures` makes it.

    Its key is here already. Not to be called in a transaction. Raises NotOffline and what `create_issuing_ca` does.
    """
    check_slug(slug)
    check_shards(crl_shards)
    above = offline(issuer_above(parent, path_length=path_length, now=now))
    profile = ca_profile(above, validity, path_length=path_length, now=now)
    key_id, key = keys.generate(key_algorithm, custody=custody)
    facts, names = facts_of(key.public_key()), Names(variables={"common_name": common_name})
    with kept_if_used(key_id):
        draft = draft_for_key(above, profile=profile, facts=facts, names=names, holder=f"issuer:{slug}", now=now)
        csr = build_ca_request(ca_name(common_name), key, path_length=profile.path_length)
        with one_slug(slug):
            own_key(facts.public_key_sha256, slug=slug)
            waiting = IssuerRequest.objects.create(
                id=new_id(),
                domain_id=above.domain_id,
                slug=slug,
                name=common_name,
                key_id=key_id,
                csr=csr,
                crl_shards=crl_shards,
                replaces_id=replaces,
                created_at=now,
            )
            purpose = f"the certificate of the CA {slug}"
            row = order_certificate(above, draft, purpose=purpose, becomes=waiting, actor=actor, now=now)
    return signing_request_value(row)


def order_cross_certificate(
    *, issuer: IssuerId, signer: IssuerId, validity: timedelta | None = None, actor: Actor, now: datetime
) -> SigningRequestValue:
    """What the offline issuer `signer` has to sign so that `issuer` has a cross-certificate. Raises as `cross_sign`."""
    subject, above = cross_pair(issuer=issuer, signer=signer)
    draft = draft_cross(subject, offline(above), validity=validity, now=now)
    purpose = f"a cross-certificate for {subject.slug}"
    with transaction.atomic():
        return signing_request_value(order_certificate(above, draft, purpose=purpose, actor=actor, now=now))
