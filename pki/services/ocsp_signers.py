"""Delegated OCSP signers: short-lived, with own keys, replaced while the old one has a third of its life left."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction

from kernel.core.actor import SYSTEM
from kernel.core.errors import DomainError
from kernel.core.ids import DomainId
from pki.core.certificates import Names
from pki.core.csr import facts_of
from pki.core.values import CertificateState, IssuerId, IssuerKind, IssuerState, KeyAlgorithm, KeyId
from pki.models import Issuer, OcspSigner, SigningRequest
from pki.queries import find_profile
from pki.services.custody import custody
from pki.services.fresh_keys import kept_if_used
from pki.services.issue_certificate import issue_for_key

log = logging.getLogger(__name__)

KEPT_AFTER_END = timedelta(days=1)
"""How long a signer's key outlives its certificate: clocks differ, and other processes have it open still."""


def ensure_ocsp_signer(*, issuer: IssuerId, now: datetime) -> None:
    """Makes a new signer unless the newest has a third of its life before it. Not to be called in a transaction.

    The old one stays good until its end, and so do the answers that it signed. The new one has begun five minutes ago,
    for clients whose clocks are late. Its key is kept where the issuer's is. An issuer that can not sign here gets
    none: one made elsewhere is imported. Those that have ended are removed, with their keys.
    """
    remove_ended_signers(issuer=issuer, now=now)
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
    with kept_if_used(key_id):
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


def remove_ended_signers(*, issuer: IssuerId, now: datetime) -> list[KeyId]:
    """Whose keys were destroyed: the issuer's signers that ended a day ago. Not to be called in a transaction.

    The newest stays whatever its age, as that which the issuer's answers go on from. What is left of a key that can
    not be destroyed, `manage.py keys check` names. Idempotent.
    """
    rows = OcspSigner.objects.filter(issuer_id=issuer).order_by("-pk")
    ended = rows.filter(certificate__not_after__lt=now - KEPT_AFTER_END)
    newest = rows.first()
    return [KeyId(row.key_id) for row in ended if row != newest and _remove(row)]


def _remove(signer: OcspSigner) -> bool:
    """Whether it was this call that destroyed its key."""
    with transaction.atomic():
        if not OcspSigner.objects.filter(pk=signer.pk).delete()[0]:
            return False  # another process was at it
        SigningRequest.objects.filter(key_id=signer.key_id).update(key=None)
    try:
        custody.destroy(KeyId(signer.key_id))
    except (DomainError, OSError):
        log.exception("the key %s of an OCSP signer that has ended was not destroyed", signer.key_id)
        return False
    return True


def _algorithm(issuer: Issuer) -> KeyAlgorithm:
    """The signer's algorithm follows the issuer's; RSA at its smallest, since each answer is signed."""
    algorithm = KeyAlgorithm(issuer.key_algorithm)
    return KeyAlgorithm.RSA_3072 if algorithm is KeyAlgorithm.RSA_4096 else algorithm
