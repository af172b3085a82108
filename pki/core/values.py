"""The values of the certificate authority, which has never heard of a device: a holder is an opaque text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from kernel.core.ids import DomainId, EntryId

IssuerId = NewType("IssuerId", UUID)
KeyId = NewType("KeyId", UUID)
CertificateId = NewType("CertificateId", UUID)
SerialNumber = NewType("SerialNumber", int)


def serial_hex(serial: int) -> str:
    """The serial number as lower-case hex with an even number of digits, as `openssl x509 -serial` spells it."""
    text = f"{serial:x}"
    return text.zfill(len(text) + len(text) % 2)


class KeyAlgorithm(StrEnum):
    """The sorts of key that an issuer may have. ML-DSA (RFC 9881) is for those who plan to leave ECDSA and RSA."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ED25519 = "ed25519"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


class Custody(StrEnum):
    """Where a private key is kept."""

    ENCRYPTED = "encrypted"
    FILE = "file"
    PKCS11 = "pkcs11"


class IssuerKind(StrEnum):
    """Where an issuer signs: `online` here; `offline` elsewhere, by files; `trusted` is another's, believed only."""

    ONLINE = "online"
    OFFLINE = "offline"
    TRUSTED = "trusted"


class IssuerState(StrEnum):
    """`superseded` after a rollover: it signs its CRLs and OCSP answers still, and certificates no longer.

    `retired`: nothing that it signed is valid any more, and nobody trusts it. `revoked`: its certificate is.
    """

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    RETIRED = "retired"
    REVOKED = "revoked"


class CrlKind(StrEnum):
    """What a CRL lists: all that is revoked, what changed since a full one, or one shard."""

    FULL = "full"
    DELTA = "delta"
    SHARD = "shard"


class ReasonCode(StrEnum):
    """RFC 5280 5.3.1; value 7 is unused there."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    REMOVE_FROM_CRL = "removeFromCRL"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"

    @property
    def number(self) -> int:
        """The CRLReason."""
        return _REASON_NUMBERS[self]


_REASON_NUMBERS = {
    ReasonCode.UNSPECIFIED: 0,
    ReasonCode.KEY_COMPROMISE: 1,
    ReasonCode.CA_COMPROMISE: 2,
    ReasonCode.AFFILIATION_CHANGED: 3,
    ReasonCode.SUPERSEDED: 4,
    ReasonCode.CESSATION_OF_OPERATION: 5,
    ReasonCode.CERTIFICATE_HOLD: 6,
    ReasonCode.REMOVE_FROM_CRL: 8,
    ReasonCode.PRIVILEGE_WITHDRAWN: 9,
    ReasonCode.AA_COMPROMISE: 10,
}


class CertificateState(StrEnum):
    """How far a certificate has come. `requested` is written before it is signed."""

    REQUESTED = "requested"
    ISSUED = "issued"
    HELD = "held"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A CA. `chain_pem` leads from it up to, and without, the root; both PEM texts end in a newline.

    `key_algorithm` is None for another's key of a sort that ours never are.
    """

    id: IssuerId
    domain: DomainId
    slug: str
    name: str
    parent: IssuerId | None
    kind: IssuerKind
    state: IssuerState
    successor: IssuerId | None
    key_algorithm: KeyAlgorithm | None
    crl_shards: int
    certificate_der: bytes
    certificate_pem: str
    chain_pem: str
    not_before: datetime
    not_after: datetime
    serial: SerialNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate of ours. `fingerprint` and `public_key_sha256` are hex of SHA-256 over certificate and SPKI.

    `changed_at`: when it was last revoked, held or released; None if never.
    """

    id: CertificateId
    domain: DomainId
    issuer: IssuerId
    issuer_slug: str
    serial: SerialNumber
    holder: str
    profile: str
    profile_version: int
    shard: int | None
    state: CertificateState
    subject: str
    pem: str
    chain_pem: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
    public_key_sha256: str
    requested_at: datetime
    revoked_at: datetime | None
    reason: ReasonCode | None
    invalidity_date: datetime | None
    changed_at: datetime | None

    @property
    def serial_hex(self) -> str:
        """The serial number for people and APIs."""
        return serial_hex(self.serial)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """That a certificate is revoked, since when and why; `operation` carries it out, now or when it was first asked."""

    certificate: CertificateId
    serial: SerialNumber
    revoked_at: datetime
    reason: ReasonCode
    operation: EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlStatus:
    """The newest CRL of a kind, and of a shard, without its octets. `is_due`: it may lack revocations.

    `published_at` is to the second; thisUpdate lies before it, for peers whose clocks are behind. `base_number` is the
    full CRL that a delta begins at.
    """

    kind: CrlKind
    shard: int | None
    base_number: int | None
    number: int
    published_at: datetime
    this_update: datetime
    next_update: datetime
    entries: int
    is_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCrl:
    """A stored CRL, as it is served; it covers the revocations up to its issuer's `revision`.

    `base_number`: the full CRL that a delta begins at.
    """

    kind: CrlKind
    shard: int | None
    base_number: int | None
    number: int
    der: bytes
    this_update: datetime
    next_update: datetime
    entries: int
    revision: int
