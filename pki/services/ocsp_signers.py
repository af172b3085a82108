"""Delegated OCSP signers: short-lived, with own keys, replaced while the old one has a third of its life left."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from kernel.core.actor import SYSTEM
from kernel.core.ids import DomainId
from pki.core.certificates import Names
from pki.core.csr import facts_of
from pki.core.values import CertificateState, IssuerId, IssuerKind, IssuerState, KeyAlgorithm, KeyId
from pki.models import Issuer, OcspSigner
from pki.queries import find_profile
from pki.services.custody import custody
from pki.services.issue_certificate import issue_for_key


def ensure_ocsp_signer(*, issuer: IssuerId, now: datetime) -> None:
    """Makes a new signer unless the newest has a third of its life before it. Not to be called in a transaction.

    The old one stays good until its end, and so do the answers that it signed. The new one has begun five minutes ago,
    for clients whose clocks are late. Its key is kept where the issuer's is. An issuer that can not sign here gets
    none: one made elsewhere is imported.
    """
    newest = OcspSigner.objects.filter(issuer_id=issuer).select_related("certificate").order_by("-pk").first()
    if newest and newest.certificate.state == CertificateState.ISSUED:
        life = newest.certificate.not_after - newest.certificate.not_before
        if newest.certificate.not_after - now > life / 3:
            return
    row = Issuer.objects.select_related("parent").get(id=issuer)
    if row.kind != IssuerKind.ONLINE or row.state == IssuerState.RETIRED:
        return
    assert row.key_id is not None
    key_id, key = custody.generate(_algorithm(row), custody.custody_of(KeyId(row.key_id)))
    certificate = issue_for_key(
        issuer=row,
        profile=find_profile(domain=DomainId(row.domain_id), name="ocsp-signer"),
        facts=facts_of(key.public_key()),
        names=Names(variables={"common_name": f"{row.name[:50]} OCSP"}),
        holder=f"ocsp:{row.slug}",
        actor=SYSTEM,
        now=now,
    )
    with transaction.atomic():
        OcspSigner.objects.create(issuer=row, key_id=key_id, certificate=certificate)


def _algorithm(issuer: Issuer) -> KeyAlgorithm:
    """The signer's algorithm follows the issuer's; RSA at its smallest, since each answer is signed."""
    algorithm = KeyAlgorithm(issuer.key_algorithm)
    return KeyAlgorithm.RSA_3072 if algorithm is KeyAlgorithm.RSA_4096 else algorithm
