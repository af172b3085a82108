"""What the responder has to know of an issuer before it answers: its signer, its hashes, its revision and its index."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from kernel.core.errors import Conflict, Unavailable
from pki.core.keys import SigningKey, subject_public_key
from pki.core.ocsp_plain import Frames, PlainAnswers
from pki.core.ocsp_request import CertId, PlainQuestion, issuer_hashes
from pki.core.ocsp_signing import Signing, choose_signing
from pki.core.values import CertificateState, IssuerId, IssuerKind, IssuerState, KeyId, ReasonCode
from pki.models import Certificate, Issuer, OcspSigner
from pki.services.custody import custody
from pki.services.ocsp_index import IssuerIndex

SIGNER_FRESH_FOR = timedelta(minutes=5)
_COMPROMISED = {ReasonCode.KEY_COMPROMISE, ReasonCode.CA_COMPROMISE}


class NoSigner(Unavailable):
    """No OCSP signer of the issuer is valid: the periodic task makes one."""

    code = "ocsp-signer-missing"


class NotResponsible(Conflict):
    """Nobody here can answer for the issuer, now or later."""

    code = "ocsp-not-responsible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A delegated signer. `key_hash` is SHA-1 over its public key, `certificate` its DER.

    `signing` is what it does unless a client prefers another algorithm, `frames` what stands around that.
    """

    key: SigningKey
    key_hash: bytes
    certificate: bytes
    ends_at: datetime
    signing: Signing
    frames: Frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """One issuer. `hashes` is by name of hash: (issuer name hash, issuer key hash), as CertIDs have them.

    `compromised_at`: since when nothing is believed that its key signed. `prepared` answers `question` out of the
    index's edition.
    """

    issuer_id: IssuerId
    state: str
    revision: int
    revision_above: int | None
    hashes: dict[str, tuple[bytes, bytes]]
    question: PlainQuestion
    signer: Signer
    index: IssuerIndex
    prepared: PlainAnswers | None
    compromised_at: datetime | None
    read_at: datetime
    signer_read_at: datetime

    def is_about(self, cert_id: CertId) -> bool:
        """Whether the question is about a certificate of this issuer, and of no other."""
        return self.hashes.get(cert_id.hash_name) == (cert_id.issuer_name_hash, cert_id.issuer_key_hash)


def learn(slug: str, known: Knowledge | None, *, now: datetime, with_edition: bool = True) -> Knowledge | None:
    """What is known of the issuer now; None if there is no such issuer. Little is read if `known` is right still.

    Without an edition the database is asked about each certificate. Raises NoSigner, NotResponsible, WrongKey.
    """
    if known and timedelta(0) <= now - known.signer_read_at < SIGNER_FRESH_FOR and now < known.signer.ends_at:
        read = Issuer.objects.filter(slug=slug).values_list("revision", "state", "parent__revision").first()
        if read == (known.revision, known.state, known.revision_above):
            index = known.index.keep_up(now=now)
            if index is known.index:
                return replace(known, read_at=now)
            known = replace(known, index=index)
    issuer = Issuer.objects.select_related("parent").filter(slug=slug).first()
    return _learn_anew(issuer, known, now=now, with_edition=with_edition) if issuer else None


def _learn_anew(issuer: Issuer, known: Knowledge | None, *, now: datetime, with_edition: bool) -> Knowledge:
    if not with_edition:
        index = IssuerIndex(IssuerId(issuer.id), issuer.revision)
    elif known:
        index = known.index.keep_up(now=now)
        index.take_changes(issuer.revision)
    else:
        index = IssuerIndex.open(IssuerId(issuer.id), revision=issuer.revision)
    signers = _valid_signers(issuer, now=now)
    hashes = issuer_hashes(x509.load_der_x509_certificate(bytes(issuer.der)))
    question = PlainQuestion.of(hashes)
    compromised_at = _compromised_at(issuer)
    return Knowledge(
        issuer_id=IssuerId(issuer.id),
        state=issuer.state,
        revision=issuer.revision,
        revision_above=issuer.parent.revision if issuer.parent else None,
        hashes=hashes,
        question=question,
        signer=_open_signer(signers[0], known.signer if known else None),
        index=index,
        prepared=None if compromised_at else _prepare(index, question, signers),
        compromised_at=compromised_at,
        read_at=now,
        signer_read_at=now,
    )


def current_signer(issuer: Issuer, *, now: datetime) -> Signer:
    """The signer that answers for the issuer now. Raises NoSigner, NotResponsible, WrongKey."""
    return _open_signer(_valid_signers(issuer, now=now)[0], None)


def _valid_signers(issuer: Issuer, *, now: datetime) -> list[OcspSigner]:
    """Those that have begun, have not ended and are not revoked; the newest first."""
    rows = OcspSigner.objects.filter(
        issuer=issuer,
        certificate__state=CertificateState.ISSUED,
        certificate__not_before__lte=now,
        certificate__not_after__gt=now,
    )
    found = [*rows.select_related("certificate").order_by("-certificate__not_before", "-pk")]
    if found:
        return found
    if issuer.kind == IssuerKind.TRUSTED or issuer.state == IssuerState.RETIRED or issuer.not_after <= now:
        raise NotResponsible(f"Nobody answers for {issuer.slug} here: it is another's, retired, or has ended.")
    if issuer.kind == IssuerKind.OFFLINE and not OcspSigner.objects.filter(issuer=issuer).exists():
        raise NotResponsible(f"The key of {issuer.slug} is elsewhere: import an OCSP signer that it certified.")
    raise NoSigner(f"No OCSP signer of {issuer.slug} is valid now: is the worker running?")


def _open_signer(row: OcspSigner, known: Signer | None) -> Signer:
    der = bytes(row.certificate.der or b"")
    if known and known.certificate == der:
        return known
    key = custody.open(KeyId(row.key_id))
    signing = choose_signing(key)
    return Signer(
        key=key,
        key_hash=key_hash_of(der),
        certificate=der,
        ends_at=row.certificate.not_after,
        signing=signing,
        frames=Frames(signing.algorithm, der),
    )


def key_hash_of(certificate: bytes) -> bytes:
    """How answers name the signer with this certificate: SHA-1 over its public key (RFC 6960 4.2.1)."""
    public_key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha1(subject_public_key(public_key), usedforsecurity=False).digest()


def _prepare(index: IssuerIndex, question: PlainQuestion, signers: list[OcspSigner]) -> PlainAnswers | None:
    """The answers of the edition, if there is one and its signer is believed still."""
    if index.edition is None or not index.edition.imprint.signature_octets:
        return None
    imprint = index.edition.imprint
    if imprint.signer not in {bytes(row.certificate.der or b"") for row in signers}:
        return None
    return PlainAnswers(imprint, question.cert_id_head, key_hash_of(imprint.signer))


def _compromised_at(issuer: Issuer) -> datetime | None:
    """Since when the issuer's key is known to be in wrong hands; all that it signed is revoked then (RFC 6960 2.7)."""
    if issuer.parent_id is None:
        return None
    rows = Certificate.objects.filter(issuer_id=issuer.parent_id, serial=issuer.serial, reason__in=_COMPROMISED)
    return rows.values_list("revoked_at", flat=True).first()
