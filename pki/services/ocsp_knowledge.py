"""What the responder has to know of an issuer before it answers: its signer, its hashes, and its revision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from cryptography import x509

from kernel.core.errors import Unavailable
from pki.core.keys import SigningKey, subject_public_key
from pki.core.ocsp_request import CertId, issuer_hashes
from pki.core.values import CertificateState, KeyId
from pki.models import Issuer, OcspSigner
from pki.services.custody import custody

SIGNER_FRESH_FOR = timedelta(minutes=5)


class NoSigner(Unavailable):
    """No OCSP signer of the issuer is valid: the periodic task makes one."""

    code = "ocsp-signer-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A delegated signer. `key_hash` is SHA-1 over its public key, `certificate` its DER."""

    key: SigningKey
    key_hash: bytes
    certificate: bytes
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """One issuer. `hashes` is by name of hash: (issuer name hash, issuer key hash), as CertIDs have them."""

    issuer_id: UUID
    revision: int
    hashes: dict[str, tuple[bytes, bytes]]
    signer: Signer
    read_at: datetime
    signer_read_at: datetime

    def is_about(self, cert_id: CertId) -> bool:
        """Whether the question is about a certificate of this issuer, and of no other."""
        return self.hashes.get(cert_id.hash_name) == (cert_id.issuer_name_hash, cert_id.issuer_key_hash)


def learn(slug: str, known: Knowledge | None, *, now: datetime) -> Knowledge | None:
    """What is known of the issuer now; None if there is no such issuer. Only the revision is read if `known` is fresh.

    Raises NoSigner, WrongKey.
    """
    if known and timedelta(0) <= now - known.signer_read_at < SIGNER_FRESH_FOR and now < known.signer.ends_at:
        revision = Issuer.objects.filter(slug=slug).values_list("revision", flat=True).first()
        return None if revision is None else replace(known, revision=revision, read_at=now)
    issuer = Issuer.objects.filter(slug=slug).first()
    if issuer is None:
        return None
    return Knowledge(
        issuer_id=issuer.id,
        revision=issuer.revision,
        hashes=issuer_hashes(x509.load_der_x509_certificate(bytes(issuer.der))),
        signer=_open_signer(issuer, now=now),
        read_at=now,
        signer_read_at=now,
    )


def _open_signer(issuer: Issuer, *, now: datetime) -> Signer:
    """The newest signer that is valid and not revoked."""
    signers = OcspSigner.objects.filter(
        issuer=issuer, certificate__not_after__gt=now, certificate__state=CertificateState.ISSUED
    )
    row = signers.select_related("certificate").order_by("-pk").first()
    if row is None or row.certificate.der is None:
        raise NoSigner(f"No OCSP signer of {issuer.slug} is valid now: is the worker running?")
    der = bytes(row.certificate.der)
    public_key = x509.load_der_x509_certificate(der).public_key()
    return Signer(
        key=custody.open(KeyId(row.key_id)),
        key_hash=hashlib.sha1(subject_public_key(public_key), usedforsecurity=False).digest(),
        certificate=der,
        ends_at=row.certificate.not_after,
    )
