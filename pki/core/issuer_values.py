"""Values around issuers: what is asked of other CAs and of offline keys, and cross-certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from kernel.core.ids import DomainId
from pki.core.values import IssuerId, KeyAlgorithm

IssuerRequestId = NewType("IssuerRequestId", UUID)
SigningRequestId = NewType("SigningRequestId", UUID)
CrossCertificateId = NewType("CrossCertificateId", UUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRequest:
    """A CA to be, whose key is here. `csr_pem` goes to the CA above; `replaces` is the issuer that it succeeds."""

    id: IssuerRequestId
    domain: DomainId
    slug: str
    name: str
    key_algorithm: KeyAlgorithm
    csr_pem: str
    replaces: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCertificate:
    """Another certificate for an issuer's name and key. `signer` is a slug; None if a CA elsewhere signed it."""

    id: CrossCertificateId
    issuer: str
    signer: str | None
    signer_name: str
    certificate_pem: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


class SigningKind(StrEnum):
    """What an offline issuer signs."""

    CERTIFICATE = "certificate"
    CRL = "crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """What an offline issuer has yet to sign. `purpose` is a sentence for people."""

    id: SigningRequestId
    issuer: str
    kind: SigningKind
    purpose: str
    to_be_signed: bytes
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What an issuer signed that is valid still: how many certificates, and when the last of them ends."""

    issuer: IssuerId
    certificates: int
    issuers: tuple[str, ...]
    ends_at: datetime | None
